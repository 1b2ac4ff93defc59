// Sends an identify, a track and a page with one of the Node SDKs, and prints the faults that it reported.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { sdk, host, key, person, properties } = JSON.parse(process.argv[2]);
const faults = [];
const note = (fault) => faults.push(String((fault && (fault.code || fault.message)) || fault));

const identify = { userId: person, traits: { email: `${person}@customer.example`, plan: "pro" } };
const track = { userId: person, event: "Order Completed", properties };
const page = { userId: person, name: "Docs", properties: { url: "https://shop.example/docs" } };

async function withPromises(client) {
  client.on("error", note);
  client.identify(identify);
  client.track(track);
  client.page(page);
  await client.closeAndFlush({ timeout: 20000 });
}

async function withCallbacks(client) {
  const done = (call) => new Promise((resolve) => call((fault) => { if (fault) note(fault); resolve(); }));
  await Promise.all([
    done((callback) => client.identify(identify, callback)),
    done((callback) => client.track(track, callback)),
    done((callback) => client.page(page, callback)),
    Promise.resolve(client.flush()).catch(note),
  ]);
}

const options = { maxRetries: 3, flushInterval: 100 };
const patient = { flushInterval: 100, errorHandler: note };
const clients = {
  segment: () => withPromises(new (require("@segment/analytics-node").Analytics)({ writeKey: key, host, ...options })),
  customerio: () =>
    withPromises(new (require("@customerio/cdp-analytics-node").Analytics)({ writeKey: key, host, ...options })),
  rudder: () => withCallbacks(new (require("@rudderstack/rudder-sdk-node"))(key, { dataPlaneUrl: host, ...patient })),
  legacy: () => withCallbacks(new (require("analytics-node"))(key, { host, ...patient })),
};
await clients[sdk]();
console.log(JSON.stringify(faults));
process.exit(0);
