// A definition in segment/v1 as a tree of rows, and back. Pure: no page, no network.
// A row keeps its condition's JSON as it is and edits it in place, so nothing that is not touched ever changes.
"use strict";

const SegmentDefinition = (() => {
  let lastId = 0;
  const nextId = () => `n${++lastId}`;
  const PLAIN = new Set(["exists", "missing", "empty"]);
  const MANY = new Set(["in", "not_in", "any_of", "all_of", "none_of"]);
  const RELATIVE = new Set(["in_last", "in_next", "anniversary"]);
  const TIMES = new Set(["before", "after"]);
  const KNOWN = new Set([
    "everyone", "trait", "trait_held", "event", "event_pick", "sequence", "lifecycle", "segment", "list", "consent",
    "identity", "rfm", "sample", "geo",
  ]);
  const copy = (json) => JSON.parse(JSON.stringify(json));
  const isObject = (json) => typeof json === "object" && json !== null && !Array.isArray(json);
  const has = (json, key) => json[key] !== undefined && json[key] !== null && json[key] !== "";

  // --- Reading ---------------------------------------------------------------------------------------------------------

  function group(mode = "all", children = [], more = {}) {
    return { id: nextId(), kind: "group", nots: 0, mode, children, bare: false, ...more };
  }

  // `property`: the node is a condition on an event, which has no type of its own.
  function read(given, property = false) {
    let json = given;
    let nots = 0;
    while (isObject(json) && json.type === "not" && isObject(json.of) && Object.keys(json).length === 2) {
      nots += 1;
      json = json.of;
    }
    const joined = isObject(json) && (json.type === "all" || json.type === "any");
    if (joined && Array.isArray(json.of) && Object.keys(json).length === 2) {
      return group(json.type, json.of.map((one) => read(one, property)), { nots });
    }
    return leaf(json, property, nots);
  }

  function leaf(json, property, nots = 0) {
    const common = { id: nextId(), nots };
    if (property) {
      if (!isObject(json) || typeof json.property !== "string") return raw(json, common);
      return { ...common, kind: "property", json: copy(json), form: formOf(json) };
    }
    if (!isObject(json) || !KNOWN.has(json.type)) return raw(json, common);
    const node = { ...common, kind: json.type, json: copy(json) };
    if (json.type === "trait" || json.type === "trait_held") node.form = formOf(json);
    if (json.type === "event" || json.type === "event_pick") node.where = tree(take(node.json, "where"));
    if (json.type === "event_pick") node.has = tree(take(node.json, "has"));
    if (json.type === "sequence") {
      if (!Array.isArray(json.steps) || !json.steps.every(isObject)) return raw(json, common);
      node.steps = take(node.json, "steps").map(readStep);
    }
    return node;
  }

  function raw(json, common) {
    return { ...common, kind: "raw", text: JSON.stringify(json, null, 2), json: {} };
  }

  function readStep(json) {
    const step = { id: nextId(), json: copy(json) };
    step.where = tree(take(step.json, "where"));
    return step;
  }

  function take(json, key) {
    const found = json[key];
    delete json[key];
    return found;
  }

  // The tree of conditions on one event. A single one is written without a group around it, as it was read.
  function tree(json) {
    if (json === undefined || json === null) return group("all", [], { bare: true });
    const node = read(json, true);
    return node.kind === "group" ? node : group("all", [node], { bare: true });
  }

  // --- What is compared with: the form of a value ----------------------------------------------------------------------

  function formOf(json) {
    const { op, value, cast } = json;
    if (PLAIN.has(op)) return "any";
    if (isObject(value) && typeof value.ref === "string") return value.ref.startsWith("step:") ? "step" : "ref";
    if (RELATIVE.has(op)) return "date";
    const first = Array.isArray(value) ? value[0] : value;
    if (isObject(first) && "ago" in first) return "ago";
    if (cast === "date" || cast === "datetime" || TIMES.has(op)) return "date";
    if (["any_of", "all_of", "none_of"].includes(op) || cast === "list") return "list";
    if (cast === "number" || typeof first === "number") return "number";
    if (cast === "boolean" || typeof first === "boolean") return "boolean";
    return "text";
  }

  // Puts another operator or form on a comparison, and keeps of its value what still fits.
  function setOperator(node, form, op) {
    const { json } = node;
    const before = { form: node.form, value: json.value };
    node.form = form;
    json.op = op;
    if (form !== before.form) {
      delete json.cast;
      if (form === "date") json.cast = op === "anniversary" || !RELATIVE.has(op) ? "date" : "datetime";
    } else if (form === "date" && op === "anniversary") json.cast = "date";
    json.value = blankFor(form, op, before);
    if (json.value === undefined) delete json.value;
  }

  function blankFor(form, op, before) {
    if (form === "any" || PLAIN.has(op)) return undefined;
    const same = form === before.form;
    const first = Array.isArray(before.value) ? before.value[0] : before.value;
    if (form === "ref") return same ? before.value : { ref: "trait:" };
    if (form === "step") return same ? before.value : { ref: "step:0." };
    if (RELATIVE.has(op)) return typeof before.value === "string" && before.value.startsWith("P") ? before.value : op === "anniversary" ? undefined : "P30D";
    if (form === "ago") {
      const one = isObject(first) ? first : { ago: "P30D" };
      return op === "between" ? [one, { ago: "P1D" }] : one;
    }
    const empty = form === "boolean" ? true : "";
    const usable = same && first !== undefined && !(typeof first === "string" && form === "date" && first.startsWith("P"));
    if (MANY.has(op)) return same && Array.isArray(before.value) ? before.value : usable && first !== "" ? [first] : [];
    if (op === "between") return same && Array.isArray(before.value) && before.value.length === 2 ? before.value : [usable ? first : "", ""];
    return usable ? first : empty;
  }

  // What was typed, as the JSON of a form: a number where numbers are compared.
  function typed(text, form) {
    const trimmed = text.trim();
    if (form !== "number") return text;
    return trimmed !== "" && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
  }

  // --- Writing ---------------------------------------------------------------------------------------------------------

  // `paths` receives, for each row, where it stands in the JSON: faults and counts are shown beside their rows.
  // `keep` says which rows are written: a preview leaves out what is not complete.
  function write(node, path = "match", paths = null, keep = () => true) {
    const inner = path + ".of".repeat(node.nots);
    if (paths) paths.push([path, node.id]);
    let json = writeInner(node, inner, paths, keep);
    for (let count = 0; count < node.nots; count += 1) json = { type: "not", of: json };
    return json;
  }

  function writeInner(node, path, paths, keep) {
    if (node.kind === "group") return writeGroup(node, path, paths, keep);
    if (node.kind === "raw") return readJson(node.text) ?? { type: "unreadable" };
    const json = copy(node.json);
    if (node.where) writeTree(json, "where", node.where, path, paths, keep);
    if (node.has) writeTree(json, "has", node.has, path, paths, keep);
    if (node.steps) {
      json.steps = node.steps.map((step, index) => {
        const at = `${path}.steps[${index}]`;
        if (paths) paths.push([at, step.id]);
        const written = copy(step.json);
        writeTree(written, "where", step.where, at, paths, keep);
        return written;
      });
    }
    return json;
  }

  function writeGroup(node, path, paths, keep) {
    const kept = node.children.filter(keep);
    if (node.bare && kept.length === 1 && node.nots === 0) return write(kept[0], path, paths, keep);
    return { type: node.mode, of: kept.map((child, index) => write(child, `${path}.of[${index}]`, paths, keep)) };
  }

  function writeTree(json, key, node, path, paths, keep) {
    if (node.children.filter(keep).length) json[key] = write(node, `${path}.${key}`, paths, keep);
  }

  function readJson(text) {
    try {
      return JSON.parse(text);
    } catch {
      return null;
    }
  }

  // --- New rows --------------------------------------------------------------------------------------------------------

  const BLANK = {
    trait: { type: "trait", path: "", op: "eq", value: "" },
    trait_held: { type: "trait_held", path: "", op: "eq", value: "", for: "P30D" },
    event: { type: "event", name: "", window: { last: "P30D" }, measure: { fn: "count" }, op: "gte", value: 1 },
    event_pick: { type: "event_pick", pick: "last", name: "", has: { property: "", op: "eq", value: "" } },
    sequence: { type: "sequence", window: { last: "P7D" }, steps: [{ name: "" }, { name: "", occurs: false, within: "PT24H" }] },
    lifecycle: { type: "lifecycle", name: "*", state: "dormant", period: "P30D" },
    segment: { type: "segment", key: "", op: "in" },
    list: { type: "list", key: "" },
    consent: { type: "consent", purpose: "", status: ["granted"] },
    identity: { type: "identity", namespace: "email", op: "exists" },
    rfm: { type: "rfm", r: [4, 5], f: [4, 5], m: [4, 5] },
    sample: { type: "sample", percent: 10, salt: "holdout" },
    geo: { type: "geo", path: "", near: ["", ""], km: 25 },
    everyone: { type: "everyone" },
    property: { property: "", op: "eq", value: "" },
  };

  function blank(kind) {
    if (kind === "group") return group("any");
    if (kind === "json") return raw({ type: "everyone" }, { id: nextId(), nots: 0 });
    return leaf(BLANK[kind], kind === "property");
  }

  function blankStep() {
    return readStep({ name: "" });
  }

  // --- Completeness: what is still to be filled in, or an empty text -----------------------------------------------------

  function missing(node) {
    const { json } = node;
    switch (node.kind) {
      case "group": return node.children.some((child) => !missing(child)) ? "" : "an empty group";
      case "trait": return has(json, "path") ? missingValue(json) : "choose a trait";
      case "trait_held": return !has(json, "path") ? "choose a trait" : missingValue(json);
      case "property": return has(json, "property") ? missingValue(json) : "choose a property";
      case "event": return missingName(json) || missingMeasure(json);
      case "event_pick": return missingName(json) || missing(node.has) && "say what that event has";
      case "sequence": return node.steps.map((step) => missingName(step.json)).find(Boolean) ?? "";
      case "lifecycle": return missingName(json);
      case "segment": return has(json, "key") ? "" : "choose a segment";
      case "list": return has(json, "key") ? "" : "choose a list";
      case "consent": return !has(json, "purpose") ? "choose a purpose" : json.status?.length ? "" : "choose a state";
      case "rfm": return ["r", "f", "m"].some((one) => json[one]?.length) ? "" : "choose scores";
      case "geo": return !has(json, "path") ? "choose a trait" : json.near.some((one) => one === "") ? "give the place" : "";
      default: return "";
    }
  }

  function missingName(json) {
    const names = Array.isArray(json.name) ? json.name : [json.name];
    return names.length && names.every(Boolean) ? "" : "choose an event";
  }

  function missingMeasure(json) {
    if (!["count", "days"].includes(json.measure?.fn ?? "count") && !has(json.measure, "property")) return "choose what is measured";
    const values = Array.isArray(json.value) ? json.value : [json.value ?? 1];
    return values.length && values.every((one) => one !== "") ? "" : "say how much";
  }

  function missingValue({ op, value }) {
    if (PLAIN.has(op) || op === "anniversary") return "";
    if (isObject(value)) return value.ref === "trait:" || /^step:\d+\.$/.test(value.ref ?? "") ? "choose what it is compared with" : "";
    const values = Array.isArray(value) ? value : [value];
    return values.length && values.every((one) => one !== "" && one !== undefined) ? "" : "give a value";
  }

  return { PLAIN, MANY, RELATIVE, KNOWN, blank, blankStep, group, read, tree, write, readJson, copy, isObject, setOperator, typed, missing };
})();
