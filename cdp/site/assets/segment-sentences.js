// The sentence of each kind of condition, out of the parts of segment-sentence.js.
"use strict";

const SegmentSentences = (() => {
  const D = SegmentDefinition;
  const S = SegmentSentence;
  const KINDS = [
    { name: "Who they are", kinds: [["trait", "Trait"], ["trait_held", "Trait held for a time"], ["identity", "Identifier"], ["geo", "Near a place"]] },
    { name: "What they did", kinds: [["event", "Event"], ["event_pick", "First or last event"], ["sequence", "Sequence of events"], ["lifecycle", "Life cycle"], ["rfm", "RFM score"]] },
    { name: "Where they stand", kinds: [["consent", "Consent"], ["segment", "Segment"], ["list", "List"]] },
    { name: "Other", kinds: [["sample", "Random sample"], ["everyone", "Everyone"], ["json", "JSON"]] },
  ];
  const MOST_USED = ["trait", "event", "segment", "consent"];
  const LABELS = Object.fromEntries([...KINDS.flatMap(({ kinds }) => kinds), ["group", "Group"], ["raw", "JSON"], ["property", "Filter"]]);

  // `c`: what the installation offers — names to pick from, kinds of traits and properties, and how to learn more.
  const SENTENCES = {
    trait: (node, c) => traitParts(node, c),
    trait_held: (node, c) => [
      ...traitParts(node, c), S.text(`${node.id}-held`, "for at least"),
      ...S.span(`${node.id}-for`, "For how long", node.json.for, (iso) => { node.json.for = iso; }),
    ],
    property: (node, c) => [
      S.pick(`${node.id}-property`, "Name of the property", node.json.property, c.properties(c.event), (name) => {
        node.json.property = name;
        guess(node, c.kindOfProperty(c.event, name));
      }),
      ...S.comparison(node.id, node, {
        known: c.kindOfProperty(c.event, node.json.property), source: c.propertyValues(c.event, node.json.property), traits: c.traits, steps: c.steps,
      }),
    ],
    event: (node, c) => [
      S.text(`${node.id}-did`, "did"), ...S.nameParts(node.id, node.json, c), ...measureParts(node, c), ...S.windowParts(node.id, node.json), whereButton(node),
    ],
    event_pick: (node, c) => [
      S.text(`${node.id}-of`, "of the"),
      S.select(`${node.id}-pick`, "First or last", node.json.pick, [["last", "last"], ["first", "first"]], (chosen) => { node.json.pick = chosen; }),
      ...S.nameParts(node.id, node.json, c), ...S.windowParts(node.id, node.json), whereButton(node, "Only those where…"),
      S.button(`${node.id}-has`, "It has to have…", "Say what that event has to have", () => node.has.children.push(D.blank("property"))),
    ],
    sequence: (node) => [
      S.text(`${node.id}-did`, "did, one after another,"), ...S.windowParts(node.id, node.json),
      S.button(`${node.id}-step`, "Add a step", "Add a step to the sequence", () => node.steps.push(D.blankStep())),
    ],
    lifecycle: (node, c) => lifecycleParts(node, c),
    segment: (node, c) => segmentParts(node, c),
    list: (node, c) => [
      S.text(`${node.id}-on`, "are on the list"),
      S.select(`${node.id}-key`, "List", node.json.key, named(c.offers.lists, node.json.key), (key) => { node.json.key = key; }),
    ],
    consent: (node, c) => [
      S.text(`${node.id}-to`, "have for"),
      S.select(`${node.id}-purpose`, "Purpose", node.json.purpose, named(c.offers.purposes, node.json.purpose), (key) => { node.json.purpose = key; }),
      S.text(`${node.id}-by`, "by"),
      S.select(`${node.id}-channel`, "Channel", node.json.channel ?? "", [["", "all channels"], ...c.channels(node.json.purpose).map((one) => [one, one])], (chosen) => {
        if (chosen) node.json.channel = chosen;
        else delete node.json.channel;
      }),
      S.text(`${node.id}-state`, "a consent that is"),
      S.checks(`${node.id}-status`, "State of the consent", S.STATES, node.json.status),
    ],
    identity: (node, c) => [
      S.text(`${node.id}-type`, "have an identifier"),
      S.select(`${node.id}-namespace`, "Type of identifier", node.json.namespace, named(c.offers.identifiers, node.json.namespace), (key) => { node.json.namespace = key; }),
      S.select(`${node.id}-op`, "Known or not", node.json.op, [["exists", "that is known"], ["verified", "that is verified"], ["missing", "– no, none is known"]], (op) => { node.json.op = op; }),
    ],
    rfm: (node) => [
      S.text(`${node.id}-who`, "score, from 1 (worst) to 5 (best),"),
      ...[["r", "recency"], ["f", "frequency"], ["m", "money"]].map(([key, words]) => ({ ...S.checks(`${node.id}-${key}`, words, [1, 2, 3, 4, 5], node.json[key] ?? []), named: true, set: (values) => {
        if (values.length) node.json[key] = values;
        else delete node.json[key];
      } })),
    ],
    sample: (node) => [
      S.text(`${node.id}-in`, "are in the random"),
      S.number(`${node.id}-percent`, "Per cent", node.json.percent, (value) => { node.json.percent = value; }),
      S.text(`${node.id}-of`, "% of the draw"),
      S.input(`${node.id}-salt`, "Name of the draw", node.json.salt, (value) => { node.json.salt = value; }, { width: "name" }),
      S.text(`${node.id}-from`, "from"),
      S.number(`${node.id}-offset`, "Begins at per cent", node.json.offset ?? 0, (value) => {
        if (value === 0 && !("offset" in node.json)) return;
        node.json.offset = value;
      }),
      S.text(`${node.id}-on`, "% on"),
    ],
    geo: (node, c) => [
      S.text(`${node.id}-the`, "have in"),
      S.pick(`${node.id}-path`, "Name of the trait", node.json.path, c.traits, (name) => { node.json.path = name; }),
      S.text(`${node.id}-within`, "a place within"),
      S.number(`${node.id}-km`, "Kilometres", node.json.km, (value) => { node.json.km = value; }),
      S.text(`${node.id}-km-of`, "km of latitude"),
      S.number(`${node.id}-lat`, "Latitude", node.json.near[0], (value) => { node.json.near[0] = value; }),
      S.text(`${node.id}-lon-word`, "longitude"),
      S.number(`${node.id}-lon`, "Longitude", node.json.near[1], (value) => { node.json.near[1] = value; }),
    ],
    everyone: (node) => [S.text(`${node.id}-all`, "are anybody at all")],
    raw: (node) => [{ id: `${node.id}-json`, k: "json", label: "Condition as JSON", value: node.text, set: (typed) => { node.text = typed; } }],
  };

  // What is named but does not exist stays to be seen.
  const named = (offers, key = "") => [
    ["", "choose…"], ...offers.map((one) => [one.key, one.name]), ...(key && !offers.some((one) => one.key === key) ? [[key, `${key} (does not exist)`]] : []),
  ];

  // A trait or property whose kind the data tells: while no value is given, its own operators are put on.
  function guess(node, kind) {
    const form = { number: "number", boolean: "boolean", array: "list", date: "date" }[kind] ?? "text";
    const { value } = node.json;
    const untouched = value === "" || value === undefined || (Array.isArray(value) && value.length === 0);
    if (!kind || form === node.form || !untouched || node.form === "any") return;
    D.setOperator(node, form, S.OPS[form][1][0][0]);
  }

  function traitParts(node, c) {
    return [
      S.text(`${node.id}-the`, "have the trait"),
      S.pick(`${node.id}-path`, "Name of the trait", node.json.path, c.traits, (name) => {
        node.json.path = name;
        guess(node, c.offers.traits[name]);
      }),
      S.text(`${node.id}-that`, "that"),
      ...S.comparison(node.id, node, { known: c.offers.traits[node.json.path], source: c.traitValues(node.json.path), traits: c.traits }),
    ];
  }

  function measureParts(node, c) {
    const { json, id } = node;
    const fn = json.measure?.fn ?? "count";
    const needs = fn !== "count" && fn !== "days";
    const touched = () => { json.op ??= "gte"; json.value ??= 1; };
    const parts = [S.select(`${id}-fn`, "What is counted", fn, S.MEASURES, (chosen) => {
      touched();
      const plain = chosen === "count" || chosen === "days";
      json.measure = { fn: chosen, ...(plain ? {} : { property: json.measure?.property ?? "" }) };
    })];
    if (needs) parts.push(S.pick(`${id}-measured`, "Property that is measured", json.measure.property, c.properties(S.nameOf(json.name)), (name) => { json.measure.property = name; }));
    const op = json.op ?? "gte";
    parts.push(S.select(`${id}-amount-op`, "Compared how", op, S.NUMBERS, (chosen) => {
      const first = Array.isArray(json.value) ? json.value[0] ?? 1 : json.value ?? 1;
      json.op = chosen;
      json.value = chosen === "between" ? [first, ""] : D.MANY.has(chosen) ? [first] : first;
    }));
    if (D.MANY.has(op)) parts.push(S.chips(`${id}-amount`, "How much", json.value, null, "number"));
    else if (op === "between") {
      parts.push(S.number(`${id}-amount`, "How much", json.value[0], (value) => { json.value[0] = value; }), S.text(`${id}-amount-and`, "and"));
      parts.push(S.number(`${id}-upper`, "At most how much", json.value[1], (value) => { json.value[1] = value; }));
    } else {
      parts.push(S.number(`${id}-amount`, "How much", json.value ?? 1, (value) => {
        if (json.value === undefined && value === 1) return;
        touched();
        json.value = value;
      }));
    }
    return [...parts, S.text(`${id}-comma`, ",")];
  }

  function whereButton(node, words = "Only where…") {
    return S.button(`${node.id}-where`, words, "Count only events with a certain property", () => node.where.children.push(D.blank("property")));
  }

  function lifecycleParts(node, c) {
    const { json, id } = node;
    const choose = (state) => {
      json.state = state;
      if (state === "regular") Object.assign(json, { at_least: json.at_least ?? 3, of_last: json.of_last ?? 4 });
      else { delete json.at_least; delete json.of_last; }
    };
    const parts = [S.select(`${id}-state`, "Stage", json.state, S.LIFECYCLES, choose), ...S.nameParts(id, json, c)];
    const period = S.span(`${id}-period`, "Length of a period", json.period, (iso) => { json.period = iso; });
    if (json.state !== "regular") {
      const after = { new: "and never before", returning: "and in as long before", resurrected: "after as long a pause", dormant: "after as long of doing it" };
      return [...parts, S.text(`${id}-in`, "in the last"), ...period, S.text(`${id}-after`, after[json.state])];
    }
    return [
      ...parts, S.text(`${id}-least-word`, "in at least"), S.number(`${id}-least`, "In at least how many", json.at_least, (value) => { json.at_least = value; }),
      S.text(`${id}-of-word`, "of the last"), S.number(`${id}-of`, "Of how many", json.of_last, (value) => { json.of_last = value; }), S.text(`${id}-periods`, "periods of"), ...period,
    ];
  }

  function segmentParts(node, c) {
    const { json, id } = node;
    const ops = [["in", "are in"], ["not_in", "are not in"], ["entered", "entered"], ["left", "left"], ["held", "have long been in"]];
    const choose = (op) => {
      json.op = op;
      if (op === "entered" || op === "left") json.window ??= { last: "P7D" };
      else delete json.window;
      if (op === "held") json.for ??= "P30D";
      else delete json.for;
    };
    const parts = [S.select(`${id}-op`, "In or not", json.op ?? "in", ops, choose), S.select(`${id}-key`, "Segment", json.key, named(c.offers.segments, node.json.key), (key) => { json.key = key; })];
    if (json.window) parts.push(...S.windowParts(id, json));
    if (json.for) parts.push(S.text(`${id}-for-word`, "for at least"), ...S.span(`${id}-for`, "For how long", json.for, (iso) => { json.for = iso; }));
    return parts;
  }

  function stepParts(step, index, node, c) {
    const { json, id } = step;
    const parts = [S.text(`${id}-number`, index === 0 ? "first" : "then")];
    if (index > 0) parts.push(S.select(`${id}-occurs`, "Happens or not", json.occurs === false ? "no" : "yes", [["yes", "did"], ["no", "did not do"]], (chosen) => {
      if (chosen === "no") { json.occurs = false; json.within ??= "PT24H"; } else delete json.occurs;
    }));
    parts.push(...S.nameParts(id, json, c, `Name of the event of step ${index + 1}`));
    if (index > 0) {
      const limit = (chosen) => { if (chosen === "within") json.within = "PT24H"; else delete json.within; };
      parts.push(S.select(`${id}-limit`, "Time after the step before", json.within ? "within" : "", [["", "at any time after"], ["within", "within"]], limit));
      if (json.within) parts.push(...S.span(`${id}-within`, "How long after", json.within, (iso) => { json.within = iso; }));
      if (json.same) parts.push(S.text(`${id}-same-word`, "with the same"), S.chips(`${id}-same`, "Properties that are the same", json.same, c.properties(S.nameOf(json.name)), "text"));
      else parts.push(S.button(`${id}-same-add`, "with the same…", "A property has to be the same as in the step before", () => { json.same = []; }));
    }
    parts.push(S.button(`${id}-where`, "Only where…", "Count only events with a certain property", () => step.where.children.push(D.blank("property"))));
    if (node.steps.length > 2 && index > 0) parts.push(S.button(`${id}-remove`, "✕", `Remove step ${index + 1}`, () => node.steps.splice(index, 1)));
    return parts;
  }

  function parts(node, c) {
    return SENTENCES[node.kind](node, c);
  }

  return { KINDS, MOST_USED, LABELS, SENTENCES, parts, stepParts };
})();
