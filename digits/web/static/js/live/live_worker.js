// The SharedWorker that holds the one event stream of all tabs. Tabs say every now and then that they still exist.

import { LiveConnection } from "./live_core.js";

const FORGET_AFTER_MS = 150000; // a tab in the background may run its timers once a minute only
const connection = new LiveConnection(new URL(self.location.href).searchParams.get("root") || "");
const ports = new Map();
let count = 0;

self.onconnect = (event) => {
  const port = event.ports[0];
  const state = { seen: Date.now(), subscriptions: new Set() };
  ports.set(port, state);
  port.onmessage = ({ data }) => handle(port, state, data);
  port.start();
};

function handle(port, state, message) {
  state.seen = Date.now();
  if (message.type === "subscribe") {
    const id = `${++count}`;
    state.subscriptions.add(id);
    connection.subscribe(id, message.wanted, (value) => port.postMessage({ key: message.key, value }));
    state[message.key] = id;
  } else if (message.type === "unsubscribe") {
    connection.unsubscribe(state[message.key]);
    state.subscriptions.delete(state[message.key]);
  } else if (message.type === "bye") {
    forget(port, state);
  }
}

function forget(port, state) {
  for (const id of state.subscriptions) connection.unsubscribe(id);
  ports.delete(port);
}

setInterval(() => {
  for (const [port, state] of ports) if (Date.now() - state.seen > FORGET_AFTER_MS) forget(port, state);
}, 30000);
