// What the builder offers to choose from: names that came with the page, values and counts that are asked for when needed.
"use strict";

const SegmentOffers = (() => {
  // `addresses`: where properties and values are asked for; `learned(event, kinds)` is told what an event's properties are.
  function make(offers, addresses) {
    const asked = new Map();
    const kinds = Alpine.reactive({});

    function once(address) {
      if (!asked.has(address)) {
        const answer = fetch(address, { credentials: "same-origin" }).then((found) => (found.ok ? found.json() : {})).catch(() => ({}));
        asked.set(address, answer);
      }
      return asked.get(address);
    }

    const values = (query) => async () => (await once(`${addresses.values}?${new URLSearchParams(query)}`)).values ?? [];
    const name = (value, note = "") => ({ value, note });

    async function learn(event) {
      if (!event || event in kinds) return;
      kinds[event] = {};
      kinds[event] = (await once(`${addresses.properties}?${new URLSearchParams({ event })}`)).properties ?? {};
    }

    const KIND_WORDS = { string: "text", number: "number", boolean: "yes or no", array: "list", object: "has parts", date: "date" };

    return {
      offers,
      learn,
      events: async () => {
        const counted = (await once(addresses.events)).values;
        return counted ?? offers.events.map((one) => name(one));
      },
      traits: async () => Object.entries(offers.traits).map(([trait, kind]) => name(trait, KIND_WORDS[kind] ?? "")),
      traitValues: (trait) => (trait ? values({ trait }) : null),
      propertyValues: (event, property) => (event && property ? values({ event: first(event), property }) : null),
      properties: (event) => async () => {
        await learn(first(event));
        return Object.entries(kinds[first(event)] ?? {}).map(([property, kind]) => name(property, KIND_WORDS[kind] ?? ""));
      },
      kindOfProperty: (event, property) => kinds[first(event)]?.[property],
      channels: (purpose) => offers.purposes.find((one) => one.key === purpose)?.channels ?? [],
    };
  }

  const first = (event) => (Array.isArray(event) ? event[0] : event);

  return { make };
})();
