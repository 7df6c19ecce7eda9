// One event stream for any number of subscriptions. Runs in a SharedWorker for all tabs, or in the page where there is none.
//
// A subscription is {list: boolean, jobs: {id: offset}}. The stream is opened anew whenever the set of jobs changes, with
// the smallest offset that anybody still needs; each subscription drops what it has seen already.

const REOPEN_MS = 30;
const SLOWEST_RETRY_MS = 8000;

export class LiveConnection {
  constructor(base) {
    this.base = base;
    this.subscriptions = new Map();
    this.sequence = null;
    this.source = null;
    this.retry = 250;
    this.timer = null;
    this.online = true;
  }

  /** `deliver(message)` gets {type: "job", row} | {type: "line", job_id, offset, event} | {type: "reset"} | {type: "online", online}. */
  subscribe(id, wanted, deliver) {
    this.subscriptions.set(id, { list: Boolean(wanted.list), jobs: { ...wanted.jobs }, deliver });
    if (wanted.sequence !== undefined && (this.sequence === null || wanted.sequence < this.sequence)) this.sequence = wanted.sequence;
    this.schedule(REOPEN_MS);
  }

  unsubscribe(id) {
    if (this.subscriptions.delete(id) && !this.subscriptions.size) this.close();
  }

  close() {
    clearTimeout(this.timer);
    this.timer = null;
    this.source?.close();
    this.source = null;
    this.sequence = null;
  }

  schedule(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), delay);
  }

  address() {
    const offsets = new Map();
    for (const { jobs } of this.subscriptions.values()) {
      for (const [id, offset] of Object.entries(jobs)) offsets.set(id, Math.min(offset, offsets.get(id) ?? Infinity));
    }
    const query = new URLSearchParams();
    if (this.sequence !== null) query.set("list", this.sequence);
    for (const [id, offset] of offsets) query.append("job", `${id}:${offset}`);
    return `${this.base}/events?${query}`;
  }

  open() {
    this.source?.close();
    if (!this.subscriptions.size) return;
    const source = new EventSource(this.address());
    this.source = source;
    source.onopen = () => { this.retry = 250; this.setOnline(true); };
    source.onerror = () => this.failed(source);
    source.addEventListener("job", (message) => this.onRow(message));
    source.addEventListener("line", (message) => this.onLine(JSON.parse(message.data)));
    source.addEventListener("reset", () => this.spread({ type: "reset" }));
  }

  failed(source) {
    if (source !== this.source) return;
    source.close();
    this.setOnline(false);
    this.schedule(this.retry);
    this.retry = Math.min(this.retry * 2, SLOWEST_RETRY_MS);
  }

  setOnline(online) {
    if (online !== this.online) this.spread({ type: "online", online });
    this.online = online;
  }

  onRow(message) {
    const row = JSON.parse(message.data);
    this.sequence = Math.max(this.sequence ?? 0, Number(message.lastEventId) || 0);
    for (const { list, jobs, deliver } of this.subscriptions.values()) {
      if (list || row.id in jobs) deliver({ type: "job", row });
    }
  }

  onLine(line) {
    for (const { jobs, deliver } of this.subscriptions.values()) {
      if (!(line.job_id in jobs) || line.offset <= jobs[line.job_id]) continue;
      jobs[line.job_id] = line.offset;
      deliver({ type: "line", ...line });
    }
  }

  spread(message) {
    for (const { deliver } of this.subscriptions.values()) deliver(message);
  }
}
