// What the builder finds out while somebody edits: how many, who, why, who could be reached, and three people to watch.
// Each question is asked after a pause and given up when a newer one is asked.
"use strict";

const SegmentFindings = (() => {
  const D = SegmentDefinition;
  const MOST_PINNED = 3;
  const NOTHING = { count: null, hidden: false, sample: [], sentence: "", sql: "", took: 0, cost: "", rowCounts: {}, reach: [], shared: [], pinned: {}, faults: {}, fault: "" };

  return {
    ...NOTHING,
    busy: false, stale: false, looking: false, running: {}, pins: [], wanted: "", people: [], peopleFault: "", unfinished: 0,

    beginFindings() {
      try {
        this.pins = JSON.parse(localStorage.getItem("segment-pins") ?? "[]").slice(0, MOST_PINNED).map((id) => ({ id, name: "…" }));
      } catch {
        this.pins = [];
      }
    },

    async send(question, method, address, body) {
      this.running[question]?.abort();
      const running = new AbortController();
      this.running[question] = running;
      const token = document.querySelector('meta[name="csrf-token"]').content;
      return fetch(address, {
        method, signal: running.signal, credentials: "same-origin", body: JSON.stringify(body),
        headers: { "Accept": "application/json", "Content-Type": "application/json", "X-CSRFToken": token },
      });
    },

    stop() {
      for (const running of Object.values(this.running)) running.abort();
    },

    // First the number and the sentence; then, if nothing has changed since, everything that takes longer.
    async find() {
      this.stop();
      this.unfinished = this.incomplete().filter((row) => row.tree === this.root).length;
      const keep = (node) => !D.missing(node);
      if (this.root.children.filter(keep).length === 0) {
        Object.assign(this, NOTHING, { rowCounts: {}, pinned: {}, faults: {}, stale: false, busy: false });
        return;
      }
      this.busy = true;
      const paths = [];
      const asked = { definition: this.definition(paths, keep), ...(this.existing ? { key: this.existing.key } : {}) };
      try {
        const answer = await this.send("preview", "POST", this.$root.dataset.preview, asked);
        const found = await answer.json();
        this.busy = false;
        if (!answer.ok) return void this.showFaults(found, paths);
        Object.assign(this, { count: found.count, hidden: found.count === null, sentence: found.sentence, sql: found.sql, took: found.took_ms, cost: found.cost, faults: {}, fault: "", stale: false });
        await Promise.all([this.lookCloser(asked, paths), this.lookAround(asked)]);
      } catch (error) {
        if (error.name === "AbortError") return;
        this.busy = false;
        this.fault = "The server does not answer. What you see may be old.";
      }
    },

    async lookCloser(asked, paths) {
      this.looking = true;
      const answer = await this.send("closer", "POST", this.$root.dataset.closer, { ...asked, pinned: this.pins.map((one) => one.id) });
      this.looking = false;
      if (!answer.ok) return;
      const found = await answer.json();
      const ids = Object.fromEntries(paths);
      this.rowCounts = Object.fromEntries(found.rows.map((row) => [ids[row.path], row]));
      this.sample = found.sample;
      this.pinned = Object.fromEntries(found.pinned.map((one) => [one.id, { ...one, rows: Object.fromEntries(one.rows.map((row) => [ids[row.path], row])) }]));
      this.pins = found.pinned.map(({ id, name }) => ({ id, name }));
      this.keepPins();
    },

    async lookAround(asked) {
      const answer = await this.send("around", "POST", this.$root.dataset.around, { ...asked, purpose: this.purpose });
      if (!answer.ok) return;
      const found = await answer.json();
      Object.assign(this, { reach: found.reach, shared: found.shared });
    },

    // --- Faults --------------------------------------------------------------------------------------------------------

    showFaults(problem, paths) {
      this.count = null;
      this.faults = {};
      const errors = problem.errors?.length ? problem.errors : [{ path: "", message: problem.detail ?? problem.title }];
      const unplaced = [];
      for (const error of errors) {
        const path = (error.path ?? "").replace(/^definition\./, "");
        const at = paths.filter(([start]) => path === start || path.startsWith(`${start}.`) || path.startsWith(`${start}[`)).pop();
        if (at && at[1] !== this.root.id) this.faults[at[1]] = this.inWords(path.slice(at[0].length), error.message);
        else unplaced.push(error.message);
      }
      this.fault = unplaced.join(" ");
    },

    inWords(member, message) {
      const name = member.replace(/^\./, "").replace(/[._]/g, " ").replace(/\[\d+\]/g, "").replace(/^of /, "");
      return name ? `${name}: ${message}` : message;
    },

    // --- Numbers -------------------------------------------------------------------------------------------------------

    amount(number) {
      return number === null || number === undefined ? "fewer than " + this.$root.dataset.smallest : number.toLocaleString("en").replaceAll(",", "\u202f");
    },

    rowWords(row) {
      const found = this.rowCounts[row.node.id];
      if (!found || this.stale) return "";
      const words = [];
      if (found.left !== undefined) words.push(`${this.amount(found.left)} left after this`);
      if (found.without !== undefined && found.without !== null && this.count !== null) {
        const change = found.without - this.count;
        words.push(`without this: ${change > 0 ? "+" : change < 0 ? "−" : "±"}${this.amount(Math.abs(change))}`);
      }
      return words.join(" · ");
    },

    unread(row) {
      return (!this.stale && this.rowCounts[row.node.id]?.unread) || [];
    },

    costWords() {
      return { light: "light to keep current", moderate: "some work to keep current", heavy: "heavy to keep current: narrow a window, or test fewer events" }[this.cost] ?? "";
    },

    share(part, whole) {
      return whole ? `${Math.max(0, Math.min(100, (100 * part) / whole))}%` : "0%";
    },

    // --- People that are watched ---------------------------------------------------------------------------------------

    keepPins() {
      localStorage.setItem("segment-pins", JSON.stringify(this.pins.map((one) => one.id)));
    },

    isPinned(id) {
      return this.pins.some((one) => one.id === id);
    },

    pin(person) {
      if (this.isPinned(person.id)) return void this.unpin(person.id);
      this.pins = [...this.pins, { id: person.id, name: person.name }].slice(-MOST_PINNED);
      this.people = [];
      this.wanted = "";
      this.keepPins();
      announce(`${person.name} is watched`);
      this.find();
    },

    unpin(id) {
      this.pins = this.pins.filter((one) => one.id !== id);
      delete this.pinned[id];
      this.keepPins();
      announce("No longer watched");
    },

    async findPeople() {
      this.peopleFault = "";
      if (!this.wanted.trim()) return;
      const answer = await this.send("people", "POST", this.$root.dataset.people, { text: this.wanted.trim() });
      const found = answer.ok ? await answer.json() : { people: [] };
      this.people = found.people;
      if (this.people.length === 0) this.peopleFault = "Nobody was found.";
      announce(`${this.people.length} found`);
    },

    marks(row) {
      if (this.stale) return [];
      return this.pins.map((one, index) => ({ id: one.id, name: one.name, letter: index + 1, found: this.pinned[one.id]?.rows[row.node.id] })).filter((one) => one.found);
    },

    profileLink(person) {
      return `${this.$root.dataset.profiles}/${person.id}`;
    },
  };
})();
