// @ts-check
// Live pages: rows of the lists and event logs of jobs, over one connection for all tabs where the browser can.
//
//   const stop = jobStream(jobId, { offset, onEvent(event, offset), onJob(row) });
//   const stop = listStream({ sequence, onJob(row), onReset() });

import { el, icon } from "../parts/elements.js";
import { root } from "../parts/request.js";
import { LiveConnection } from "./live_core.js";

const PING_MS = 20000;

/** @typedef {import("./live_core.js").Wanted} Wanted */
/** @typedef {import("./live_core.js").Deliver} Deliver */
/** @typedef {{subscribe: (wanted: Wanted, deliver: Deliver) => () => void}} Transport */

/** @type {Transport | null} */
let transport = null;

/**
 * Follow one job: every line of its event log beyond `offset` (bytes), and its row whenever it changes after `sequence`.
 * @param {string} jobId
 * @param {{offset?: number, sequence?: number, onEvent?: (event: any, offset: number) => void, onJob?: (row: any) => void,
 *   onReset?: () => void}} [options]
 */
export function jobStream(jobId, { offset = 0, sequence, onEvent, onJob, onReset } = {}) {
  /** @type {Wanted} */
  const wanted = { list: false, jobs: { [jobId]: Number(offset) }, sequence };
  return subscribe(wanted, (message) => {
    if (message.type === "line" && message.event) {
      wanted.jobs[jobId] = message.offset;
      if (message.event) onEvent?.(message.event, message.offset); // null: a damaged line
    } else if (message.type === "job") {
      onJob?.(message.row);
    } else if (message.type === "reset") {
      onReset?.();
    }
  });
}

/**
 * Follow the rows of all jobs changed after `sequence` (default: from now on); `onReset` when the list must be loaded anew.
 * @param {{sequence?: number, onJob?: (row: any) => void, onReset?: () => void}} [options]
 */
export function listStream({ sequence, onJob, onReset } = {}) {
  /** @type {Wanted} */
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

/**
 * @param {Wanted} wanted
 * @param {Deliver} deliver
 */
function subscribe(wanted, deliver) {
  transport ??= makeTransport();
  return transport.subscribe(wanted, (message) => {
    if (message.type === "online") showOnline(message.online);
    else deliver(message);
  });
}

/** @returns {Transport} */
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

  /**
   * @param {Wanted} wanted
   * @param {Deliver} deliver
   */
  subscribe(wanted, deliver) {
    const id = ++this.count;
    this.connection.subscribe(id, wanted, deliver);
    return () => this.connection.unsubscribe(id);
  }
}

class WorkerTransport {
  constructor() {
    /** @type {Map<string, {wanted: Wanted, deliver: Deliver}>} */
    this.subscriptions = new Map();
    this.count = 0;
    this.port = this.connect();
    setInterval(() => this.port.postMessage({ type: "ping" }), PING_MS);
    addEventListener("pagehide", () => this.port.postMessage({ type: "bye" }));
    addEventListener("pageshow", (event) => event.persisted && this.again());
  }

  connect() {
    const address = new URL("./live_worker.js", import.meta.url);
    address.searchParams.set("root", root);
    const worker = new SharedWorker(address, { type: "module", name: "digits-live" });
    worker.onerror = () => this.fallBack();
    worker.port.onmessage = ({ data }) => this.subscriptions.get(data.key)?.deliver(data.value);
    worker.port.start();
    return worker.port;
  }

  again() {
    this.port = this.connect();
    for (const [key, { wanted }] of this.subscriptions) this.port.postMessage({ type: "subscribe", key, wanted });
  }

  fallBack() {
    const own = new PageTransport();
    transport = own;
    for (const { wanted, deliver } of this.subscriptions.values()) own.subscribe(wanted, deliver);
    this.subscriptions.clear();
  }

  /**
   * @param {Wanted} wanted
   * @param {Deliver} deliver
   */
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

/** @param {boolean} online */
function showOnline(online) {
  document.querySelector(".offline")?.remove();
  if (online) return;
  document.body.append(
    el("div", { class: "offline", role: "status" }, icon("wifi-off"), " The server does not answer; trying again …"),
  );
}
