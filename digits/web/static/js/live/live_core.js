// @ts-check
// One event stream for any number of subscriptions. Runs in a SharedWorker for all tabs, or in the page where there is none.
//
// The stream is opened anew whenever the set of jobs changes, with the smallest offset that anybody still needs; each
// subscription drops what it has seen already.

const REOPEN_MS = 30;
const FIRST_RETRY_MS = 250;
const SLOWEST_RETRY_MS = 8000;

/**
 * What somebody follows: the lists of jobs, the event logs of jobs beyond an offset in bytes, rows changed after a number.
 * @typedef {{list: boolean, jobs: Record<string, number>, sequence?: number}} Wanted
 *
 * @typedef {{type: "job", row: any}
 *   | {type: "line", job_id: string, offset: number, event: any}
 *   | {type: "reset"}
 *   | {type: "online", online: boolean}} Message
 *
 * @typedef {(message: Message) => void} Deliver
 */

export class LiveConnection {
  /** @param {string} base the prefix below which the server answers */
  constructor(base) {
    this.base = base;
    /** @type {Map<string | number, {list: boolean, jobs: Record<string, number>, deliver: Deliver}>} */
    this.subscriptions = new Map();
    this.sequence = /** @type {number | null} */ (null);
    this.source = /** @type {EventSource | null} */ (null);
    this.retry = FIRST_RETRY_MS;
    this.timer = 0;
    this.online = true;
  }

  /**
   * @param {string | number} id
   * @param {Wanted} wanted
   * @param {Deliver} deliver
   */
  subscribe(id, wanted, deliver) {
    this.subscriptions.set(id, { list: Boolean(wanted.list), jobs: { ...wanted.jobs }, deliver });
    if (wanted.sequence !== undefined) this.sequence = Math.min(wanted.sequence, this.sequence ?? Infinity);
    this.schedule(REOPEN_MS);
  }

  /** @param {string | number} id */
  unsubscribe(id) {
    if (this.subscriptions.delete(id) && !this.subscriptions.size) this.close();
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    this.sequence = null;
  }

  /** @param {number} delay in milliseconds */
  schedule(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), delay);
  }

  /** Where the stream is that everybody needs. */
  address() {
    const offsets = new Map();
    for (const { jobs } of this.subscriptions.values()) {
      for (const [id, offset] of Object.entries(jobs)) offsets.set(id, Math.min(offset, offsets.get(id) ?? Infinity));
    }
    const query = new URLSearchParams();
    if (this.sequence !== null) query.set("list", String(this.sequence));
    for (const [id, offset] of offsets) query.append("job", `${id}:${offset}`);
    return `${this.base}/events?${query}`;
  }

  open() {
    this.source?.close();
    if (!this.subscriptions.size) return;
    const source = new EventSource(this.address());
    this.source = source;
    source.onopen = () => {
      this.retry = FIRST_RETRY_MS;
      this.setOnline(true);
    };
    source.onerror = () => this.failed(source);
    source.addEventListener("job", (message) => this.onRow(message));
    source.addEventListener("line", (message) => this.onLine(JSON.parse(message.data)));
    source.addEventListener("reset", () => this.spread({ type: "reset" }));
  }

  /** @param {EventSource} source */
  failed(source) {
    if (source !== this.source) return;
    source.close();
    this.setOnline(false);
    this.schedule(this.retry);
    this.retry = Math.min(this.retry * 2, SLOWEST_RETRY_MS);
  }

  /** @param {boolean} online */
  setOnline(online) {
    if (online !== this.online) this.spread({ type: "online", online });
    this.online = online;
  }

  /** @param {MessageEvent} message */
  onRow(message) {
    const row = JSON.parse(message.data);
    this.sequence = Math.max(this.sequence ?? 0, Number(message.lastEventId) || 0);
    for (const { list, jobs, deliver } of this.subscriptions.values()) {
      if (list || row.id in jobs) deliver({ type: "job", row });
    }
  }

  /** @param {{job_id: string, offset: number, event: any}} line */
  onLine(line) {
    for (const { jobs, deliver } of this.subscriptions.values()) {
      if (!(line.job_id in jobs) || line.offset <= jobs[line.job_id]) continue;
      jobs[line.job_id] = line.offset;
      deliver({ type: "line", ...line });
    }
  }

  /** @param {Message} message */
  spread(message) {
    for (const { deliver } of this.subscriptions.values()) deliver(message);
  }
}
