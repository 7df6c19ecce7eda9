// @ts-check
// The SharedWorker that holds the one event stream of all tabs. Tabs say every now and then that they still exist.

import { LiveConnection } from "./live_core.js";

const FORGET_AFTER_MS = 150000; // a tab in the background may run its timers once a minute only
const CHECK_MS = 30000;

/** @typedef {{seen: number, subscriptions: Map<string, string>}} Tab when it was last heard of; our ids by its own keys */

const connection = new LiveConnection(new URL(self.location.href).searchParams.get("root") || "");
/** @type {Map<MessagePort, Tab>} */
const tabs = new Map();
let count = 0;

/** @type {any} */ (self).onconnect = (/** @type {MessageEvent} */ event) => {
  const port = event.ports[0];
  const tab = { seen: Date.now(), subscriptions: new Map() };
  tabs.set(port, tab);
  port.onmessage = ({ data }) => handle(port, tab, data);
  port.start();
};

/**
 * @param {MessagePort} port
 * @param {Tab} tab
 * @param {{type: string, key: string, wanted: import("./live_core.js").Wanted}} message
 */
function handle(port, tab, { type, key, wanted }) {
  tab.seen = Date.now();
  if (type === "subscribe") {
    const id = `${++count}`;
    tab.subscriptions.set(key, id);
    connection.subscribe(id, wanted, (value) => port.postMessage({ key, value }));
  } else if (type === "unsubscribe") {
    connection.unsubscribe(tab.subscriptions.get(key) ?? "");
    tab.subscriptions.delete(key);
  } else if (type === "bye") {
    forget(port, tab);
  }
}

/**
 * @param {MessagePort} port
 * @param {Tab} tab
 */
function forget(port, tab) {
  for (const id of tab.subscriptions.values()) connection.unsubscribe(id);
  tabs.delete(port);
}

setInterval(() => {
  for (const [port, tab] of tabs) if (Date.now() - tab.seen > FORGET_AFTER_MS) forget(port, tab);
}, CHECK_MS);
