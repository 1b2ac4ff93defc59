// A text field that offers what the data really has, with how often: a combobox by the pattern of the ARIA guide.
"use strict";

document.addEventListener("alpine:init", () => {
  const SHOWN = 12;
  let last = 0;

  // `part` comes from the row around it, new at each change.
  Alpine.data("valuePicker", () => ({
    uid: `pick-${++last}`, open: false, at: -1, offers: [], typed: "", asked: 0,

    // A field for several values begins empty, one for a single value with that value.
    isMany() {
      return this.part.k === "chips";
    },

    shown() {
      return this.isMany() ? this.typed : String(this.part.value);
    },

    async ask(text) {
      if (!this.part.source) return;
      const asked = ++this.asked;
      const found = await this.part.source();
      if (asked !== this.asked) return;
      const wanted = text.trim().toLowerCase();
      const held = this.isMany() ? this.part.values.map(String) : [];
      const fitting = found.filter((one) => !held.includes(String(one.value)) && String(one.value).toLowerCase().includes(wanted));
      this.offers = fitting.slice(0, SHOWN);
      if (this.at >= this.offers.length) this.at = -1;
      this.open = this.offers.length > 0 && document.activeElement === this.$refs.field;
      if (text !== "" && this.open) announce(`${fitting.length} offered`);
    },

    typing(event) {
      const text = event.target.value;
      if (this.isMany()) {
        this.typed = text;
        if (text.includes(",") && !text.includes("\"")) {
          const parts = text.split(",");
          this.typed = parts.pop().trimStart();
          for (const one of parts) this.part.add(one.trim());
        }
      } else this.part.set(text);
      this.at = -1;
      this.ask(text);
    },

    focused() {
      // What is held already would narrow the offers to itself: all of them are shown until something is typed.
      this.ask("");
    },

    left() {
      this.open = false;
      if (this.isMany() && this.typed.trim() !== "") this.take(this.typed.trim());
    },

    take(value) {
      if (this.isMany()) {
        this.part.add(String(value));
        this.typed = "";
        this.$refs.field.value = "";
      } else {
        this.part.set(String(value));
      }
      this.open = false;
      this.at = -1;
    },

    pressed(event) {
      const { key } = event;
      if (key === "ArrowDown" || key === "ArrowUp") {
        event.preventDefault();
        if (!this.open) return void this.ask(this.isMany() ? this.typed : "");
        const step = key === "ArrowDown" ? 1 : -1;
        this.at = (this.at + step + this.offers.length) % this.offers.length;
        this.$nextTick(() => document.getElementById(this.optionId(this.at))?.scrollIntoView({ block: "nearest" }));
      } else if (key === "Enter") {
        event.preventDefault();
        if (this.open && this.at >= 0) this.take(this.offers[this.at].value);
        else if (this.isMany() && this.typed.trim() !== "") this.take(this.typed.trim());
        else this.open = false;
      } else if (key === "Escape" && this.open) {
        event.stopPropagation();
        this.open = false;
      } else if (key === "Backspace" && this.isMany() && this.typed === "" && this.part.values.length) {
        this.part.drop(this.part.values.length - 1);
      }
    },

    optionId(index) {
      return `${this.uid}-${index}`;
    },

    active() {
      return this.open && this.at >= 0 ? this.optionId(this.at) : null;
    },
  }));
});
