// The builder of segments: conditions in rows, previewed through REST while they are edited.
"use strict";

document.addEventListener("alpine:init", () => {
  const WAIT = 450;
  const given = () => JSON.parse(document.getElementById("builder-data").textContent);
  const OPS = {
    text: [["eq", "is"], ["ne", "is not"], ["in", "is one of"], ["not_in", "is none of"], ["contains", "contains"], ["not_contains", "does not contain"], ["starts_with", "starts with"], ["ends_with", "ends with"], ["matches", "matches the pattern"], ["exists", "is known"], ["missing", "is not known"], ["empty", "is empty"]],
    number: [["eq", "is"], ["ne", "is not"], ["gt", "is more than"], ["gte", "is at least"], ["lt", "is less than"], ["lte", "is at most"], ["between", "is between"], ["in", "is one of"], ["not_in", "is none of"], ["exists", "is known"], ["missing", "is not known"]],
    boolean: [["eq", "is"], ["exists", "is known"], ["missing", "is not known"]],
    date: [["before", "is before"], ["after", "is after"], ["in_last", "is in the last"], ["in_next", "is in the next"], ["between", "is between"], ["exists", "is known"], ["missing", "is not known"]],
    list: [["any_of", "has any of"], ["all_of", "has all of"], ["none_of", "has none of"], ["contains", "contains"], ["empty", "is empty"], ["exists", "is known"], ["missing", "is not known"]],
  };
  const CASTS = { date: "date", list: "list" };
  const GUESSED = { number: "number", boolean: "boolean", array: "list" };

  Alpine.data("segmentBuilder", () => ({
    root: SegmentDefinition.group("all"),
    name: "", key: "", keyTouched: false, purpose: "", channel: "", timezone: "installation",
    existing: null, offers: { events: [], traits: {}, segments: [], lists: [], purposes: [], identifiers: [] },
    properties: {}, view: "rows", text: "", textFault: "",
    count: null, sample: [], sentence: "", sql: "", took: 0, faults: {}, fault: "", busy: false, saving: false, stale: false,
    timer: null, running: null,
    kinds: [["trait", "Trait"], ["event", "Event"], ["segment", "Segment"], ["list", "List"], ["consent", "Consent"], ["identity", "Identifier"], ["group", "Group"]],
    states: ["granted", "denied", "withdrawn", "objected", "expired", "pending", "unknown"],
    units: [["D", "days"], ["W", "weeks"], ["M", "months"], ["H", "hours"]],
    measures: [["count", "times"], ["sum", "sum of"], ["avg", "average of"], ["min", "smallest"], ["max", "largest"], ["distinct", "different values of"], ["days", "different days"]],
    amounts: [["gte", "at least"], ["gt", "more than"], ["eq", "exactly"], ["lte", "at most"], ["lt", "less than"], ["between", "between"]],

    init() {
      const data = given();
      this.offers = data.offers;
      this.existing = data.segment;
      if (data.segment) {
        Object.assign(this, { name: data.segment.name, key: data.segment.key, purpose: data.segment.purpose, channel: data.segment.channel, keyTouched: true });
      }
      this.take(data.definition);
      this.$watch("root", () => this.changed());
      this.$watch("timezone", () => this.changed());
      this.changed();
    },

    // --- The definition ---------------------------------------------------------------------------------------------

    take(definition) {
      this.timezone = definition.timezone ?? "installation";
      const match = definition.match ?? { type: "all", of: [] };
      const read = SegmentDefinition.read(match);
      this.root = read.kind === "group" && !read.not ? read : SegmentDefinition.group("all", [read]);
      for (const row of this.rows()) if (row.node.kind === "event") this.learnProperties(row.node.name);
    },

    definition(paths = null) {
      return { version: 1, timezone: this.timezone, match: SegmentDefinition.write(this.root, "match", paths) };
    },

    // Every row in the order in which it is shown; a group is followed by its children and by its bar of buttons.
    rows() {
      const found = [];
      const walk = (node, parent, depth, index) => {
        found.push({ node, parent, depth, index, key: node.id, part: node.kind === "group" ? "group" : "leaf" });
        if (node.kind !== "group") return;
        node.children.forEach((child, position) => walk(child, node, depth + 1, position));
        found.push({ node, parent, depth, index, key: `${node.id}-add`, part: "add" });
      };
      walk(this.root, null, 0, 0);
      return found;
    },

    leaves() {
      return this.rows().filter((row) => row.part === "leaf").length;
    },

    add(parent, kind) {
      const node = SegmentDefinition.blank(kind);
      if (kind === "consent") node.purpose = this.offers.purposes[0]?.key ?? "";
      parent.children.push(node);
      this.focusOn(node.id);
    },

    remove(row) {
      row.parent.children.splice(row.index, 1);
      this.focusOn(`${row.parent.id}-add`);
      this.say("Condition removed");
    },

    move(row, by) {
      const siblings = row.parent.children;
      const to = row.index + by;
      if (to < 0 || to >= siblings.length) return;
      siblings.splice(to, 0, ...siblings.splice(row.index, 1));
      this.say(`Moved to place ${to + 1}`);
    },

    focusOn(id) {
      this.$nextTick(() => document.getElementById(id)?.querySelector("input, select, textarea, button")?.focus());
    },

    say(text) {
      announce(text);
    },

    // --- Single conditions ------------------------------------------------------------------------------------------

    ops(kind) {
      return OPS[kind] ?? OPS.text;
    },

    opsOf(value, op) {
      const known = this.ops(value.kind);
      return known.some(([name]) => name === op) ? known : [...known, [op, op.replace("_", " ")]];
    },

    setKind(target) {
      if (!this.ops(target.value.kind).some(([name]) => name === target.op)) target.op = this.ops(target.value.kind)[0][0];
      if ("cast" in target) target.cast = CASTS[target.value.kind] ?? "";
      if (target.value.kind === "boolean" && !["true", "false"].includes(target.value.text)) target.value.text = "true";
    },

    guessTrait(node) {
      const kind = GUESSED[this.offers.traits[node.path]];
      if (kind && node.value.text === "" && node.value.kind !== kind) {
        node.value.kind = kind;
        this.setKind(node);
      }
    },

    guessProperty(event, one) {
      const kind = GUESSED[this.properties[event]?.[one.property]];
      if (kind && kind !== "list" && one.value.text === "" && one.value.kind !== kind) {
        one.value.kind = kind;
        this.setKind(one);
      }
    },

    needsText(op) {
      return !SegmentDefinition.SINGLE.has(op) && !SegmentDefinition.SPANS.has(op);
    },

    isSpan(op) {
      return SegmentDefinition.SPANS.has(op);
    },

    hint(value, op) {
      if (SegmentDefinition.MANY.has(op)) return "separated by commas";
      return value.kind === "date" ? "2026-01-31" : "";
    },

    needsProperty(fn) {
      return fn !== "count" && fn !== "days";
    },

    addProperty(node) {
      const one = SegmentDefinition.blankProperty();
      node.where.items.push(one);
      this.learnProperties(node.name);
      this.focusOn(one.id);
    },

    async learnProperties(event) {
      if (!event || event in this.properties) return;
      this.properties[event] = {};
      const answer = await fetch(`${this.$root.dataset.properties}?event=${encodeURIComponent(event)}`);
      if (answer.ok) this.properties[event] = (await answer.json()).properties;
    },

    channelsOf(purpose) {
      return this.offers.purposes.find((one) => one.key === purpose)?.channels ?? [];
    },

    // --- Preview ----------------------------------------------------------------------------------------------------

    changed() {
      this.stale = true;
      if (this.view === "rows") this.text = JSON.stringify(this.definition(), null, 2);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.preview(), WAIT);
    },

    textChanged() {
      const read = SegmentDefinition.readJson(this.text);
      if (read === null || typeof read !== "object") {
        this.textFault = "This is not JSON yet.";
        return;
      }
      this.textFault = "";
      this.take(read);
    },

    async send(method, address, body) {
      this.running?.abort();
      const running = new AbortController();
      this.running = running;
      const token = document.querySelector('meta[name="csrf-token"]').content;
      return fetch(address, {
        method, signal: running.signal, credentials: "same-origin", body: JSON.stringify(body),
        headers: { "Content-Type": "application/json", "X-CSRFToken": token },
      });
    },

    async preview() {
      if (this.leaves() === 0) {
        Object.assign(this, { count: null, sample: [], sentence: "", sql: "", faults: {}, fault: "", stale: false });
        return;
      }
      this.busy = true;
      const paths = [];
      const body = { definition: this.definition(paths), ...(this.existing ? { key: this.existing.key } : {}) };
      try {
        const answer = await this.send("POST", this.$root.dataset.preview, body);
        const found = await answer.json();
        this.busy = false;
        if (answer.ok) {
          Object.assign(this, { count: found.count, sample: found.sample, sentence: found.sentence, sql: found.sql, took: found.took_ms, faults: {}, fault: "", stale: false });
        } else {
          this.showFaults(found, paths);
        }
      } catch (error) {
        if (error.name === "AbortError") return;
        this.busy = false;
        this.fault = "The server does not answer. What you see may be old.";
      }
    },

    showFaults(problem, paths) {
      this.count = null;
      this.faults = {};
      const errors = problem.errors?.length ? problem.errors : [{ path: "", message: problem.detail ?? problem.title }];
      const unplaced = [];
      for (const error of errors) {
        const path = error.path.replace(/^definition\./, "");
        const at = paths.filter(([start]) => path === start || path.startsWith(`${start}.`) || path.startsWith(`${start}[`)).pop();
        const isRow = at && at[1] !== this.root.id;
        if (isRow) this.faults[at[1]] = this.inWords(path.slice(at[0].length), error.message);
        else unplaced.push(error.message);
      }
      this.fault = unplaced.join(" ");
    },

    inWords(member, message) {
      const name = member.replace(/^\./, "").replace(/[._]/g, " ").replace(/\[\d+\]/g, "").replace(/^of /, "");
      return name ? `${name}: ${message}` : message;
    },

    nameOf(person) {
      const traits = person.traits;
      const parts = traits.name ? [traits.name.value] : [traits.firstName, traits.lastName].filter(Boolean).map((one) => one.value);
      return parts.join(" ") || person.identifiers[0]?.value || "Unnamed";
    },

    profileLink(person) {
      return `${this.$root.dataset.profiles}/${person.id}`;
    },

    // --- Saving -----------------------------------------------------------------------------------------------------

    nameChanged() {
      if (this.keyTouched) return;
      this.key = this.name.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 64);
    },

    async save(status) {
      if (!this.name.trim() || !this.key.trim()) {
        this.fault = "Give the segment a name.";
        this.$refs.name.focus();
        return;
      }
      clearTimeout(this.timer);
      this.saving = true;
      const paths = [];
      const definition = this.definition(paths);
      if (definition.match.of.length === 0) definition.match = null;
      const body = { name: this.name.trim(), definition, purpose: this.purpose || null, channel: this.channel || null, ...(status ? { status } : {}) };
      const method = this.existing ? "PATCH" : "POST";
      const address = this.existing ? `${this.$root.dataset.api}/${this.existing.key}` : this.$root.dataset.api;
      try {
        const answer = await this.send(method, address, this.existing ? body : { key: this.key, ...body });
        const found = await answer.json();
        if (answer.ok) {
          window.location.assign(`${this.$root.dataset.segments}/${found.key}`);
          return;
        }
        this.showFaults(found, paths);
      } catch {
        this.fault = "Nothing was saved: the server does not answer.";
      }
      this.saving = false;
    },
  }));
});
