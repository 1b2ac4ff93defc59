// What a row says: each condition as a sentence whose words can be chosen. A row is a list of parts; the page shows each
// kind of part with one element. Parts are made anew from the condition's JSON at each change, and write into it.
"use strict";

const SegmentSentence = (() => {
  const D = SegmentDefinition;
  const UNITS = [["M", "minutes"], ["H", "hours"], ["D", "days"], ["W", "weeks"], ["MO", "months"], ["Y", "years"]];
  const NUMBERS = [["gte", "at least"], ["gt", "more than"], ["eq", "exactly"], ["ne", "not exactly"], ["lte", "at most"], ["lt", "less than"], ["between", "between"], ["in", "one of"], ["not_in", "none of"]];
  const MEASURES = [["count", "number of times"], ["days", "number of different days"], ["sum", "total of"], ["avg", "average of"], ["min", "smallest"], ["max", "largest"], ["distinct", "number of different"]];
  const CALENDARS = ["today", "yesterday", "this_week", "last_week", "this_month", "last_month", "this_quarter", "last_quarter", "this_year", "last_year"];
  const STATES = ["granted", "denied", "withdrawn", "objected", "expired", "pending", "unknown"];
  const LIFECYCLES = [["new", "began"], ["returning", "did again"], ["resurrected", "came back to"], ["dormant", "stopped"], ["regular", "regularly did"]];
  const OPS = {
    text: ["Text", [["eq", "is"], ["ne", "is not"], ["in", "is one of"], ["not_in", "is none of"], ["contains", "contains"], ["not_contains", "does not contain"], ["starts_with", "starts with"], ["ends_with", "ends with"], ["matches", "matches the pattern"]]],
    number: ["Number", [["eq", "equals"], ["ne", "does not equal"], ["gt", "is more than"], ["gte", "is at least"], ["lt", "is less than"], ["lte", "is at most"], ["between", "is between"], ["in", "is one of the numbers"], ["not_in", "is none of the numbers"]]],
    boolean: ["Yes or no", [["eq", "is (yes or no)"], ["ne", "is not (yes or no)"]]],
    date: ["Date", [["before", "is before"], ["after", "is after"], ["eq", "is on"], ["between", "is between the days"], ["in_last", "is in the last"], ["in_next", "is in the next"], ["anniversary", "has its anniversary"]]],
    ago: ["Time before now", [["before", "is longer ago than"], ["after", "is not longer ago than"], ["between", "is between … and … ago"]]],
    list: ["List", [["any_of", "includes any of"], ["all_of", "includes all of"], ["none_of", "includes none of"], ["contains", "includes"], ["not_contains", "does not include"]]],
    any: ["Known or not", [["exists", "is known"], ["missing", "is not known"], ["empty", "is empty or not known"]]],
    ref: ["Compared with a trait", [["eq", "is the same as the trait"], ["ne", "differs from the trait"], ["gt", "is more than the trait"], ["gte", "is at least the trait"], ["lt", "is less than the trait"], ["lte", "is at most the trait"], ["before", "is before the trait"], ["after", "is after the trait"]]],
    step: ["Compared with an earlier step", [["eq", "is the same as"], ["ne", "differs from"], ["gt", "is more than"], ["gte", "is at least"], ["lt", "is less than"], ["lte", "is at most"]]],
  };

  // --- Parts -----------------------------------------------------------------------------------------------------------

  const text = (id, words) => ({ id, k: "text", words });
  const select = (id, label, value, options, set) => ({ id, k: "select", label, value: String(value), groups: [{ name: "", options }], set });
  const grouped = (id, label, value, groups, set) => ({ id, k: "select", label, value, groups, set });
  const input = (id, label, value, set, more = {}) => ({ id, k: "input", type: "text", mode: "text", width: "value", label, value: value ?? "", set, ...more });
  const number = (id, label, value, set) => input(id, label, value, (typed) => set(D.typed(typed, "number")), { mode: "decimal", width: "short" });
  const pick = (id, label, value, source, set) => ({ id, k: "pick", label, value: value ?? "", source, set });
  const chips = (id, label, values, source, form) => ({
    id, k: "chips", label, values, source,
    add: (one) => { const item = D.typed(one, form); if (item !== "" && !values.includes(item)) values.push(item); },
    drop: (index) => values.splice(index, 1),
  });
  const checks = (id, legend, options, values) => ({ id, k: "checks", legend, options, values });
  const button = (id, words, label, act) => ({ id, k: "button", words, label, act });

  function readSpan(iso) {
    const found = /^P(?:(\d+)([DWMY])|T(\d+)([HM]))$/.exec(iso ?? "");
    if (!found) return null;
    return found[3] ? [Number(found[3]), found[4]] : [Number(found[1]), found[2] === "M" ? "MO" : found[2]];
  }

  function writeSpan(amount, unit) {
    if (unit === "H" || unit === "M") return `PT${amount}${unit}`;
    return `P${amount}${unit === "MO" ? "M" : unit}`;
  }

  // A length of time; one with several units stays as it was written.
  function span(id, label, iso, set, unitLabel = "Unit") {
    const found = readSpan(iso);
    if (!found) return [input(id, `${label} (ISO 8601)`, iso, set, { width: "short" })];
    const [amount, unit] = found;
    return [
      input(id, label, amount, (typed) => set(writeSpan(Math.max(0, Math.trunc(Number(typed)) || 0), unit)), { type: "number", width: "short", min: 0 }),
      select(`${id}-unit`, unitLabel, unit, UNITS, (chosen) => set(writeSpan(amount, chosen))),
    ];
  }

  // --- Comparisons -----------------------------------------------------------------------------------------------------

  // The operators, those of the type that the data has first. A choice is written as FORM:OPERATOR.
  function operators(node, known, withSteps) {
    // What moves with time cannot be asked of the past.
    if (node.kind === "trait_held") return operatorsOf(node, known, ["text", "number", "boolean", "date", "list", "any"], (op) => !D.RELATIVE.has(op));
    return operatorsOf(node, known, ["text", "number", "boolean", "date", "ago", "list", "any", "ref", ...(withSteps ? ["step"] : [])], () => true);
  }

  function operatorsOf(node, known, order, may) {
    const first = ({ number: ["number"], boolean: ["boolean"], array: ["list"], date: ["date", "ago"], string: ["text"] }[known] ?? []).filter((form) => order.includes(form));
    const forms = [...first, ...order.filter((form) => !first.includes(form))];
    if (!forms.includes(node.form)) forms.push(node.form);
    return forms.map((form) => {
      const [name, options] = OPS[form];
      const known_ = form === node.form && !options.some(([op]) => op === node.json.op);
      const all = known_ ? [...options, [node.json.op, node.json.op.replaceAll("_", " ")]] : options;
      return { name, options: all.filter(([op]) => may(op)).map(([op, label]) => [`${form}:${op}`, label]) };
    });
  }

  function comparison(id, node, { known, source, traits, steps = [] }) {
    const { json, form } = node;
    const choose = (choice) => D.setOperator(node, ...choice.split(":"));
    const parts = [grouped(`${id}-op`, "Comparison", `${form}:${json.op}`, operators(node, known, steps.length > 0), choose)];
    return [...parts, ...valueParts(id, node, { source, traits, steps })];
  }

  function valueParts(id, node, { source, traits, steps }) {
    const { json, form } = node;
    const set = (value) => { json.value = value; };
    if (D.PLAIN.has(json.op)) return [];
    if (form === "ref") return [pick(`${id}-ref`, "Trait to compare with", json.value.ref.slice(6), traits, (name) => set({ ref: `trait:${name}` }))];
    if (form === "step") return stepParts(id, json, steps);
    if (json.op === "anniversary" && !json.value) return [text(`${id}-today`, "today"), button(`${id}-within`, "or soon…", "The anniversary may also be soon", () => set("P7D"))];
    if (json.op === "anniversary") return [text(`${id}-in`, "within"), ...span(`${id}-value`, "How many", json.value, set)];
    if (D.RELATIVE.has(json.op)) return span(`${id}-value`, "How many", json.value, set);
    if (json.op === "between") {
      const at = (index) => one(`${id}-value${index || ""}`, index ? "Upper value" : "Value", json.value[index], form, source, (value) => { json.value[index] = value; });
      return [...at(0), text(`${id}-and`, "and"), ...at(1), ...(form === "ago" ? [text(`${id}-ago`, "ago")] : [])];
    }
    if (D.MANY.has(json.op) && Array.isArray(json.value)) return [chips(`${id}-value`, "Values", json.value, source, numeric(json.value, form))];
    return [...one(`${id}-value`, "Value", json.value, form, source, set)];
  }

  const numeric = (values, form) => (form === "number" || (form === "list" && values.length && values.every((one_) => typeof one_ === "number")) ? "number" : "text");

  function one(id, label, value, form, source, set) {
    if (form === "boolean") return [select(id, label, String(value), [["true", "yes"], ["false", "no"]], (chosen) => set(chosen === "true"))];
    if (form === "ago") return span(id, "How long ago", value?.ago, (iso) => set({ ago: iso }));
    if (form === "date") {
      const plain = value === "" || /^\d{4}-\d{2}-\d{2}$/.test(value);
      return [input(id, label, value, set, plain ? { type: "date" } : {})];
    }
    if (Array.isArray(value)) return [chips(id, label, value, source, numeric(value, form))];
    if (form === "number") return [{ ...pick(id, label, value, source, (typed) => set(D.typed(typed, "number"))), mode: "decimal", width: "short" }];
    return [pick(id, label, value, source, set)];
  }

  function stepParts(id, json, steps) {
    const [head, ...rest] = json.value.ref.split(".");
    const property = rest.join(".");
    const options = steps.map((step, index) => [`step:${index}`, `step ${index + 1} (${nameOf(step.json.name) || "…"})`]);
    return [
      select(`${id}-step`, "Earlier step", head, options, (chosen) => { json.value = { ref: `${chosen}.${property}` }; }),
      text(`${id}-of`, "’s"),
      input(`${id}-stepprop`, "Property of that step", property, (typed) => { json.value = { ref: `${head}.${typed}` }; }, { width: "name" }),
    ];
  }

  // --- Names and windows -----------------------------------------------------------------------------------------------

  const nameOf = (name) => (Array.isArray(name) ? name.join(" or ") : name === "*" ? "anything" : name);

  function nameParts(id, json, c, label = "Name of the event") {
    const names = Array.isArray(json.name) ? json.name : [json.name];
    const put = (list) => { json.name = list.length === 1 ? list[0] : list; };
    const parts = names.flatMap((name, index) => [
      ...(index ? [text(`${id}-or${index}`, "or")] : []),
      pick(`${id}-name${index || ""}`, index ? `${label}, ${index + 1}` : label, name, c.events, (typed) => {
        if (Array.isArray(json.name)) json.name[index] = typed;
        else json.name = typed;
        c.learn(typed);
      }),
      ...(index ? [button(`${id}-less${index}`, "✕", `Remove the event ${name}`, () => put(names.filter((_, other) => other !== index)))] : []),
    ]);
    if (json.name !== "*" && names.every(Boolean)) parts.push(button(`${id}-more`, "or…", "Add another event", () => put([...names, ""])));
    return parts;
  }

  function windowParts(id, holder, key = "window") {
    const window = holder[key];
    const shape = !window ? "ever" : window.all_time ? "all_time" : "last" in window ? "last" : "between" in window ? "between" : "calendar" in window ? "calendar" : "dates";
    const kind = window?.align === "day" ? `${shape} day` : shape;
    const fresh = { last: { last: "P30D" }, between: { between: ["P90D", "P30D"] }, calendar: { calendar: "this_month" }, dates: { from: new Date(Date.now() - 30 * 864e5).toISOString().slice(0, 10) } };
    const choose = (chosen) => {
      const [next, align] = chosen.split(" ");
      if (next === "ever") delete holder[key];
      else if (next === shape) delete window.align;
      else holder[key] = { ...fresh[next] };
      if (align) holder[key].align = align;
    };
    const kinds = [
      ["ever", "at any time"], ["last", "in the last"], ["last day", "in the last, by whole days,"], ["between", "between … and … ago"], ["between day", "between … and … ago, by whole days,"],
      ["calendar", "in the calendar’s"], ["dates", "on the dates from … to"], ["dates day", "on the whole days from … to"],
    ];
    if (shape === "all_time") kinds.push(["all_time", "at any time (all time)"]);
    const parts = [select(`${id}-window`, "When", kind, kinds, choose)];
    if (shape === "last") parts.push(...span(`${id}-last`, "How long ago it begins", window.last, (iso) => { window.last = iso; }));
    if (shape === "between") {
      parts.push(...span(`${id}-longer`, "How long ago it begins", window.between[0], (iso) => { window.between[0] = iso; }), text(`${id}-wand`, "and"));
      parts.push(...span(`${id}-shorter`, "How long ago it ends", window.between[1], (iso) => { window.between[1] = iso; }, "Unit of the end"), text(`${id}-wago`, "ago"));
    }
    if (shape === "calendar") parts.push(select(`${id}-calendar`, "Period", window.calendar, CALENDARS.map((name) => [name, name.replace("_", " ")]), (chosen) => { window.calendar = chosen; }));
    if (shape === "dates") {
      const edge = (name) => input(`${id}-${name}`, name === "from" ? "From" : "To", window[name], (typed) => { if (typed) window[name] = typed; else delete window[name]; }, !window[name] || /^\d{4}-\d{2}-\d{2}$/.test(window[name]) ? { type: "date" } : {});
      parts.push(edge("from"), text(`${id}-to-word`, "to"), edge("to"));
    }
    return parts;
  }

  return { OPS, NUMBERS, MEASURES, LIFECYCLES, STATES, text, select, input, number, pick, chips, checks, button, span, comparison, nameOf, nameParts, windowParts };
})();
