// The rows of the builder and the JSON of segment/v1, each made from the other. Pure: no page, no network.
// What the rows cannot show exactly stays as JSON in a row of its own, so that editing never loses a condition.
"use strict";

const SegmentDefinition = (() => {
  let lastId = 0;
  const nextId = () => `n${++lastId}`;
  const UNITS = { D: "days", W: "weeks", M: "months", Y: "years", H: "hours" };
  const SINGLE = new Set(["exists", "missing", "empty"]);
  const MANY = new Set(["in", "not_in", "any_of", "all_of", "none_of"]);
  const SPANS = new Set(["in_last", "in_next"]);

  function duration(amount, unit) {
    return unit === "H" ? `PT${amount}H` : `P${amount}${unit}`;
  }

  function readDuration(text) {
    const found = /^P(?:(\d+)([DWMY])|T(\d+)H)$/.exec(text);
    if (!found) return null;
    return found[3] ? { amount: Number(found[3]), unit: "H" } : { amount: Number(found[1]), unit: found[2] };
  }

  // --- Values: what is typed in the fields of a comparison, and the JSON it stands for ----------------------------------

  function blankValue() {
    return { kind: "text", text: "", upper: "", amount: 30, unit: "D" };
  }

  function oneValue(text, kind) {
    const trimmed = text.trim();
    if (kind === "number") return trimmed !== "" && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
    if (kind === "boolean") return trimmed === "true" ? true : trimmed === "false" ? false : trimmed;
    return text;
  }

  function writeValue(value, op) {
    if (SINGLE.has(op)) return {};
    if (SPANS.has(op)) return { value: duration(value.amount, value.unit) };
    if (op === "between") return { value: [oneValue(value.text, value.kind), oneValue(value.upper, value.kind)] };
    if (MANY.has(op)) {
      const parts = value.text.split(",").map((part) => part.trim()).filter((part) => part !== "");
      return { value: parts.map((part) => oneValue(part, value.kind === "list" ? "text" : value.kind)) };
    }
    return { value: oneValue(value.text, value.kind) };
  }

  function kindOf(json) {
    return typeof json === "number" ? "number" : typeof json === "boolean" ? "boolean" : "text";
  }

  function readValue(json, op, cast) {
    const value = blankValue();
    const kinds = { string: "text", number: "number", boolean: "boolean", date: "date", datetime: "date", list: "list" };
    const sample = Array.isArray(json) ? json[0] : json;
    value.kind = cast ? kinds[cast] : json === undefined ? "text" : kindOf(sample);
    if (SINGLE.has(op)) return value;
    if (SPANS.has(op)) {
      const span = readDuration(json);
      return span ? Object.assign(value, span) : null;
    }
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return null;
    if (op === "between") {
      [value.text, value.upper] = (json ?? ["", ""]).map(String);
    } else {
      value.text = Array.isArray(json) ? json.join(", ") : String(json ?? "");
    }
    return value;
  }

  // --- Rows ------------------------------------------------------------------------------------------------------------

  function group(mode = "all", children = []) {
    return { id: nextId(), kind: "group", mode, not: false, children };
  }

  function blank(kind) {
    const common = { id: nextId(), kind, not: false };
    switch (kind) {
      case "group": return group("any");
      case "trait": return { ...common, path: "", cast: "", op: "eq", value: blankValue() };
      case "event": return {
        ...common, name: "", fn: "count", property: "", op: "gte", amount: "1", upper: "", measured: false, bare: true,
        window: { kind: "last", amount: 30, unit: "D", later: 0, laterUnit: "D", from: "", to: "", align: "" },
        where: { mode: "all", items: [], grouped: false },
      };
      case "segment": return { ...common, key: "", op: "in" };
      case "list": return { ...common, key: "" };
      case "consent": return { ...common, purpose: "", channel: "", status: ["granted"] };
      case "identity": return { ...common, namespace: "email", op: "exists" };
      default: return { ...common, kind: "raw", text: "{}" };
    }
  }

  function blankProperty() {
    return { id: nextId(), property: "", op: "eq", value: blankValue() };
  }

  function raw(node) {
    return { ...blank("raw"), text: JSON.stringify(node, null, 2) };
  }

  // --- From JSON ---------------------------------------------------------------------------------------------------------

  function read(node) {
    let inner = node;
    let not = false;
    if (inner?.type === "not" && inner.of) {
      not = true;
      inner = inner.of;
    }
    const row = readInner(inner) ?? raw(inner);
    row.not = not;
    // A row that would write something else than it was read from is shown as JSON instead.
    if (row.kind !== "group" && !same(write(row), node)) return Object.assign(raw(inner), { not });
    return row;
  }

  function readInner(node) {
    switch (node?.type) {
      case "all":
      case "any":
        return Array.isArray(node.of) ? group(node.type, node.of.map(read)) : null;
      case "trait": {
        const value = readValue(node.value, node.op, node.cast);
        return value && { ...blank("trait"), path: node.path ?? "", cast: node.cast ?? "", op: node.op ?? "eq", value };
      }
      case "event": return readEvent(node);
      case "segment": return { ...blank("segment"), key: node.key ?? "", op: node.op ?? "in" };
      case "list": return { ...blank("list"), key: node.key ?? "" };
      case "consent":
        return { ...blank("consent"), purpose: node.purpose ?? "", channel: node.channel ?? "", status: [...(node.status ?? [])] };
      case "identity": return { ...blank("identity"), namespace: node.namespace ?? "", op: node.op ?? "exists" };
      default: return null;
    }
  }

  function readEvent(node) {
    const row = { ...blank("event"), name: typeof node.name === "string" ? node.name : "" };
    row.measured = node.measure !== undefined;
    row.bare = node.op === undefined && node.value === undefined;
    row.fn = node.measure?.fn ?? "count";
    row.property = node.measure?.property ?? "";
    row.op = node.op ?? "gte";
    if (Array.isArray(node.value)) [row.amount, row.upper] = node.value.map(String);
    else row.amount = String(node.value ?? 1);
    row.window = readWindow(node.window, row.window);
    row.where = readWhere(node.where);
    return row.window && row.where ? row : null;
  }

  function readWindow(json, blankWindow) {
    const found = { ...blankWindow, align: json?.align ?? "" };
    if (json === undefined) return { ...found, kind: "none" };
    if (json.all_time) return { ...found, kind: "all_time" };
    if (json.last) {
      const span = readDuration(json.last);
      return span && { ...found, kind: "last", ...span };
    }
    if (json.between) {
      const [longer, shorter] = json.between.map(readDuration);
      return longer && shorter && { ...found, kind: "between", ...longer, later: shorter.amount, laterUnit: shorter.unit };
    }
    if (json.from) return { ...found, kind: "dates", from: json.from, to: json.to ?? "" };
    return null;
  }

  function readWhere(json) {
    const where = { mode: "all", items: [], grouped: false };
    if (json === undefined) return where;
    const grouped = json.type === "all" || json.type === "any";
    const items = (grouped ? json.of : [json]).map((one) => {
      const value = typeof one.property === "string" ? readValue(one.value, one.op, undefined) : null;
      return value && { id: nextId(), property: one.property, op: one.op, value };
    });
    return items.every(Boolean) ? { mode: grouped ? json.type : "all", items, grouped } : null;
  }

  // --- To JSON -----------------------------------------------------------------------------------------------------------

  // `paths` receives, for each row, where it stands in the JSON: faults are shown beside their rows.
  function write(row, path = "", paths = null) {
    const inner = row.not ? `${path}.of` : path;
    if (paths) paths.push([path, row.id]);
    const json = writeInner(row, inner, paths);
    return row.not ? { type: "not", of: json } : json;
  }

  function writeInner(row, path, paths) {
    switch (row.kind) {
      case "group":
        return { type: row.mode, of: row.children.map((child, index) => write(child, `${path}.of[${index}]`, paths)) };
      case "trait":
        return {
          type: "trait", path: row.path, ...(row.cast ? { cast: row.cast } : {}), op: row.op,
          ...writeValue(row.value, row.op),
        };
      case "event": return writeEvent(row, path, paths);
      case "segment": return { type: "segment", key: row.key, op: row.op };
      case "list": return { type: "list", key: row.key };
      case "consent":
        return { type: "consent", purpose: row.purpose, ...(row.channel ? { channel: row.channel } : {}), status: [...row.status] };
      case "identity": return { type: "identity", namespace: row.namespace, op: row.op };
      default: return readJson(row.text) ?? { type: "unreadable" };
    }
  }

  function writeEvent(row, path, paths) {
    const json = { type: "event", name: row.name };
    const { items, mode, grouped } = row.where;
    if (items.length) {
      const leaves = items.map((one, index) => {
        if (paths) paths.push([items.length > 1 || grouped ? `${path}.where.of[${index}]` : `${path}.where`, one.id]);
        return { property: one.property, op: one.op, ...writeValue(one.value, one.op) };
      });
      json.where = items.length > 1 || grouped ? { type: mode, of: leaves } : leaves[0];
    }
    const window = writeWindow(row.window);
    if (window) json.window = window;
    const usual = row.fn === "count" && row.op === "gte" && row.amount === "1";
    if (row.measured || row.fn !== "count") {
      const plain = row.fn === "count" || row.fn === "days";
      json.measure = { fn: row.fn, ...(plain ? {} : { property: row.property }) };
    }
    if (!(row.bare && usual && row.fn === "count")) {
      json.op = row.op;
      json.value = row.op === "between" ? [oneValue(row.amount, "number"), oneValue(row.upper, "number")] : oneValue(row.amount, "number");
    }
    return json;
  }

  function writeWindow(window) {
    const align = window.align ? { align: window.align } : {};
    switch (window.kind) {
      case "last": return { last: duration(window.amount, window.unit), ...align };
      case "between":
        return { between: [duration(window.amount, window.unit), duration(window.later, window.laterUnit)], ...align };
      case "dates": return { from: window.from, to: window.to, ...align };
      case "all_time": return { all_time: true, ...align };
      default: return null;
    }
  }

  function readJson(text) {
    try {
      return JSON.parse(text);
    } catch {
      return null;
    }
  }

  function same(one, other) {
    if (one === other) return true;
    if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
    const names = Object.keys(one);
    return names.length === Object.keys(other).length && names.every((name) => name in other && same(one[name], other[name]));
  }

  return { UNITS, SINGLE, MANY, SPANS, blank, blankProperty, group, read, write, readJson, same };
})();
