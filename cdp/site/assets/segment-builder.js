// The builder of segments: conditions in rows that read like a sentence, counted while they are edited.
"use strict";

document.addEventListener("alpine:init", () => {
  const WAIT = 450;
  const D = SegmentDefinition;
  const T = SegmentTree;
  const given = () => JSON.parse(document.getElementById("builder-data").textContent);

  Alpine.data("segmentBuilder", () => ({
    ...SegmentFindings,
    root: D.group("all"), version: 1,
    name: "", key: "", keyTouched: false, tags: [], purpose: "", channel: "", timezone: "installation", otherZone: "",
    existing: null, catalogue: null, offers: { events: [], traits: {}, segments: [], lists: [], purposes: [], identifiers: [], tags: [] },
    view: "rows", text: "", textFault: "", faults: {}, fault: "", saving: false, dragged: null, over: "", saved: "",
    kinds: SegmentSentences.KINDS, mostUsed: SegmentSentences.MOST_USED, labels: SegmentSentences.LABELS,
    timer: null,

    init() {
      const data = given();
      this.offers = data.offers;
      this.catalogue = SegmentOffers.make(this.offers, this.$root.dataset);
      this.existing = data.segment;
      if (data.segment) Object.assign(this, data.segment, { keyTouched: !data.segment.new });
      if (data.segment?.new) this.existing = null;
      this.beginFindings(data);
      this.take(data.definition);
      this.saved = JSON.stringify(this.definition());
      this.$watch("root", () => this.changed());
      this.$watch("timezone", () => this.changed());
      this.$watch("purpose", () => this.changed());
      this.changed();
      window.addEventListener("beforeunload", (event) => {
        if (!this.saving && JSON.stringify(this.definition()) !== this.saved) event.preventDefault();
      });
    },

    // --- The definition ----------------------------------------------------------------------------------------------

    take(definition) {
      this.timezone = definition.timezone ?? "installation";
      const node = D.read(definition.match ?? { type: "all", of: [] });
      this.root = node.kind === "group" && node.nots === 0 ? node : D.group("all", [node], { bare: true });
      for (const { node: one } of this.rows()) if (one.json?.name) this.catalogue.learn([one.json.name].flat()[0]);
    },

    definition(paths = null, keep = undefined) {
      return { version: this.version, timezone: this.timezone, match: D.write(this.root, "match", paths, keep) };
    },

    rows() {
      return T.rows(this.root);
    },

    leaves() {
      return this.rows().filter((row) => row.part === "leaf" && row.tree === this.root);
    },

    incomplete() {
      return this.rows().filter((row) => (row.part === "leaf" || (row.part === "group" && row.parent)) && D.missing(row.node));
    },

    parts(row) {
      const c = { ...this.catalogue, event: row.event, steps: row.steps };
      return row.part === "step" ? SegmentSentences.stepParts(row.node, row.index, row.sequence, c) : SegmentSentences.parts(row.node, c);
    },

    lead(row) {
      return T.lead(row);
    },

    missing(row) {
      return row.part === "leaf" ? D.missing(row.node) : "";
    },

    toggle(part, option, on) {
      const values = part.values.filter((one) => one !== option);
      if (on) values.push(option);
      if (part.set) part.set(part.options.filter((one) => values.includes(one)));
      else part.values.splice(0, part.values.length, ...values);
    },

    // --- Rows --------------------------------------------------------------------------------------------------------

    add(parent, kind) {
      const node = D.blank(kind);
      if (kind === "consent") node.json.purpose = this.offers.purposes[0]?.key ?? "";
      if (kind === "group") node.mode = parent.mode === "all" ? "any" : "all";
      if (parent.bare && parent.children.length) parent.bare = false;
      parent.children.push(node);
      this.focusOn(kind === "group" ? `${node.id}-add` : node.id, ".sentence .picker input", ".sentence select.word:not(.lead-word)", "input, textarea", "button");
    },

    remove(row) {
      const next = row.tree === this.root ? `${row.parent.id}-add` : null;
      T.detach(row.tree, row.node);
      this.focusOn(next ?? this.root.id, "button, select");
      announce("Condition removed");
    },

    duplicate(row) {
      const twin = D.read(D.write(row.node), row.tree !== this.root);
      row.parent.children.splice(row.index + 1, 0, twin);
      if (row.parent.bare) row.parent.bare = false;
      this.focusOn(twin.id, ".handle");
      announce("Duplicated");
    },

    move(row, way) {
      const moves = {
        up: () => T.moveUp(row.tree, row.node), down: () => T.moveDown(row.tree, row.node),
        in: () => T.moveIn(row.tree, row.node, (mode) => D.group(mode)), out: () => T.moveOut(row.tree, row.node),
      };
      if (row.tree.bare) row.tree.bare = false;
      const said = moves[way]();
      announce(said || "It cannot move further that way");
      this.focusOn(row.node.id, ".handle");
    },

    handlePressed(event, row) {
      const ways = { ArrowUp: "up", ArrowDown: "down", ArrowRight: "in", ArrowLeft: "out" };
      if (event.key in ways) {
        event.preventDefault();
        this.move(row, ways[event.key]);
      } else if (event.key === "Delete") {
        event.preventDefault();
        this.remove(row);
      }
    },

    // --- Dragging ----------------------------------------------------------------------------------------------------

    dragStart(event, row) {
      this.dragged = row;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", row.node.id);
    },

    placeOf(event, row) {
      if (row.part === "add") return "inside";
      const box = event.currentTarget.getBoundingClientRect();
      return event.clientY < box.top + box.height / 2 ? "before" : "after";
    },

    dragOver(event, row) {
      if (!this.dragged || row.tree !== this.dragged.tree || row.node === row.tree && row.part !== "add") return;
      event.preventDefault();
      this.over = `${row.key} ${this.placeOf(event, row)}`;
    },

    dropOn(event, row) {
      if (!this.dragged || row.tree !== this.dragged.tree) return;
      event.preventDefault();
      const said = T.drop(row.tree, this.dragged.node.id, row.node, this.placeOf(event, row));
      if (said) announce(said);
      this.dragEnd();
    },

    dragEnd() {
      this.dragged = null;
      this.over = "";
    },

    // To the first of these that the row has.
    focusOn(id, ...wanted) {
      const focus = () => {
        const row = document.getElementById(id);
        const found = wanted.map((one) => row?.querySelector(one)).find(Boolean);
        found?.focus();
        return Boolean(found);
      };
      // A row that is new has its fields only after the next drawing.
      this.$nextTick(() => focus() || requestAnimationFrame(focus));
    },

    closeMenu(event) {
      const menu = event.target.closest("details");
      menu?.removeAttribute("open");
      if (event.type === "keydown") menu?.querySelector("summary").focus();
    },

    // --- JSON --------------------------------------------------------------------------------------------------------

    changed() {
      this.stale = true;
      if (this.view === "rows") this.text = JSON.stringify(this.definition(), null, 2);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.find(), WAIT);
    },

    textChanged() {
      const read = D.readJson(this.text);
      if (!D.isObject(read)) {
        this.textFault = "This is not JSON yet.";
        return;
      }
      // A definition as it was exported, with the name around it, is taken as well.
      this.textFault = "";
      this.take(D.isObject(read.definition) ? read.definition : "match" in read ? read : { ...read, match: read.type ? read : null });
    },

    async importFile(event) {
      const [file] = event.target.files;
      if (!file) return;
      this.text = await file.text();
      this.view = "text";
      this.textChanged();
      const read = D.readJson(this.text);
      if (read?.name && !this.name) {
        this.name = String(read.name).slice(0, 200);
        this.nameChanged();
      }
      event.target.value = "";
      announce(this.textFault || "The definition was read");
    },

    exportFile() {
      const whole = { name: this.name, definition: this.definition() };
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([JSON.stringify(whole, null, 2)], { type: "application/json" }));
      link.download = `${this.key || "segment"}.json`;
      link.click();
      URL.revokeObjectURL(link.href);
    },

    setZone(chosen) {
      this.timezone = chosen === "other" ? this.otherZone || Intl.DateTimeFormat().resolvedOptions().timeZone : chosen;
    },

    // --- Saving ------------------------------------------------------------------------------------------------------

    channelsOf(purpose) {
      return this.offers.purposes.find((one) => one.key === purpose)?.channels ?? [];
    },

    nameChanged() {
      if (this.keyTouched) return;
      this.key = this.name.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 64).replace(/-+$/, "");
    },

    addTag(text) {
      const tag = text.trim().toLowerCase().slice(0, 40);
      if (tag && !this.tags.includes(tag)) this.tags.push(tag);
    },

    tagsPart() {
      return {
        id: "tags", k: "chips", label: "Tags", values: this.tags, add: (tag) => this.addTag(tag), drop: (index) => this.tags.splice(index, 1),
        source: async () => this.offers.tags.map((tag) => ({ value: tag, note: "" })),
      };
    },

    hasUnfinished(status) {
      const [row] = this.incomplete();
      if (!row || (status === "draft" && this.leaves().length === 0)) return false;
      this.fault = `One condition is not complete: ${D.missing(row.node)}.`;
      this.focusOn(row.node.id, "input, select, button");
      return true;
    },

    async save(status) {
      if (!this.name.trim() || !this.key.trim()) {
        this.fault = "Give the segment a name.";
        this.$refs.name.focus();
        return;
      }
      if (this.hasUnfinished(status)) return;
      clearTimeout(this.timer);
      this.saving = true;
      const paths = [];
      const definition = this.definition(paths);
      if (definition.match.of?.length === 0) definition.match = null;
      const body = { name: this.name.trim(), definition, purpose: this.purpose || null, channel: this.channel || null, tags: this.tags, ...(status ? { status } : {}) };
      const method = this.existing ? "PATCH" : "POST";
      const address = this.existing ? `${this.$root.dataset.api}/${this.existing.key}` : this.$root.dataset.api;
      try {
        const answer = await this.send("save", method, address, this.existing ? body : { key: this.key, ...body });
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
