// Live pages: rows of the lists and event logs of jobs, over one connection for all tabs where the browser can.
//
//   const stop = jobStream(jobId, { offset, onEvent(event, offset), onJob(row) });
//   const stop = listStream({ sequence, onJob(row), onReset() });

import { LiveConnection } from "./live_core.js";
import { el, icon, root } from "../parts/ui.js";

const PING_MS = 20000;
let transport = null;

/** Follow one job: every line of its event log beyond `offset` (bytes), and its row whenever it changes after `sequence`. */
export function jobStream(jobId, { offset = 0, sequence, onEvent, onJob, onReset } = {}) {
  const wanted = { list: false, jobs: { [jobId]: Number(offset) }, sequence };
  return subscribe(wanted, (message) => {
    if (message.type === "line" && message.event) {
      wanted.jobs[jobId] = message.offset;
      onEvent?.(message.event, message.offset);
    } else if (message.type === "job") {
      onJob?.(message.row);
    } else if (message.type === "reset") {
      onReset?.();
    }
  });
}

/** Follow the rows of all jobs changed after `sequence` (default: from now on); `onReset` when the list must be loaded anew. */
export function listStream({ sequence, onJob, onReset } = {}) {
  const wanted = { list: true, jobs: {}, sequence };
  return subscribe(wanted, (message) => {
    if (message.type === "job") {
      wanted.sequence = Math.max(wanted.sequence ?? 0, message.row.seq);
      onJob?.(message.row);
    } else if (message.type === "reset") {
      onReset?.();
    }
  });
}

function subscribe(wanted, deliver) {
  transport ??= makeTransport();
  return transport.subscribe(wanted, (message) => {
    if (message.type === "online") showOnline(message.online);
    else deliver(message);
  });
}

function makeTransport() {
  if (typeof SharedWorker === "function") {
    try {
      return new WorkerTransport();
    } catch {
      // Some private windows have the class but refuse to start one: then the page keeps its own connection.
    }
  }
  return new PageTransport();
}

class PageTransport {
  constructor() {
    this.connection = new LiveConnection(root);
    this.count = 0;
    addEventListener("pagehide", () => this.connection.close());
    addEventListener("pageshow", (event) => event.persisted && this.connection.schedule(0));
  }

  subscribe(wanted, deliver) {
    const id = ++this.count;
    this.connection.subscribe(id, wanted, deliver);
    return () => this.connection.unsubscribe(id);
  }
}

class WorkerTransport {
  constructor() {
    this.subscriptions = new Map();
    this.count = 0;
    this.connect();
    setInterval(() => this.port.postMessage({ type: "ping" }), PING_MS);
    addEventListener("pagehide", () => this.port.postMessage({ type: "bye" }));
    addEventListener("pageshow", (event) => event.persisted && this.again());
  }

  connect() {
    const address = new URL("./live_worker.js", import.meta.url);
    address.searchParams.set("root", root);
    this.worker = new SharedWorker(address, { type: "module", name: "digits-live" });
    this.worker.onerror = () => this.fallBack();
    this.port = this.worker.port;
    this.port.onmessage = ({ data }) => this.subscriptions.get(data.key)?.deliver(data.value);
    this.port.start();
  }

  again() {
    this.connect();
    for (const [key, { wanted }] of this.subscriptions) this.port.postMessage({ type: "subscribe", key, wanted });
  }

  fallBack() {
    transport = new PageTransport();
    for (const { wanted, deliver } of this.subscriptions.values()) transport.subscribe(wanted, deliver);
    this.subscriptions.clear();
  }

  subscribe(wanted, deliver) {
    const key = `k${++this.count}`;
    this.subscriptions.set(key, { wanted, deliver });
    this.port.postMessage({ type: "subscribe", key, wanted });
    return () => {
      this.subscriptions.delete(key);
      this.port.postMessage({ type: "unsubscribe", key });
    };
  }
}

function showOnline(online) {
  document.querySelector(".offline")?.remove();
  if (!online) document.body.append(el("div", { class: "offline", role: "status" }, icon("wifi-off"), " The server does not answer; trying again …"));
}
