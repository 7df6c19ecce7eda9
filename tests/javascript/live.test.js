import assert from "node:assert/strict";
import { LiveConnection } from "../../digits/web/static/js/live/live_core.js";

/** Stands where a browser has its own; the test is the server. */
class Source extends EventTarget {
  static opened = [];
  constructor(address) {
    super();
    this.address = address;
    this.closed = false;
    Source.opened.push(this);
  }
  close() {
    this.closed = true;
  }
  send(type, data, lastEventId = "") {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data), lastEventId }));
  }
}

function connect() {
  Source.opened = [];
  globalThis.EventSource = Source;
  const connection = new LiveConnection("/prefix");
  const got = {};
  const subscribe = (id, wanted) => connection.subscribe(id, wanted, (message) => (got[id] ??= []).push(message));
  const open = () => {
    clearTimeout(connection.timer);
    connection.open();
    return Source.opened.at(-1);
  };
  return { connection, subscribe, open, got };
}

Deno.test("one stream serves all, from the smallest offset that anybody needs", () => {
  const { connection, subscribe, open } = connect();
  subscribe(1, { list: true, jobs: {}, sequence: 7 });
  subscribe(2, { list: false, jobs: { a: 300 } });
  subscribe(3, { list: false, jobs: { a: 100, b: 0 }, sequence: 5 });
  const query = new URL(open().address, "http://h").searchParams;
  assert.equal(query.get("list"), "5");
  assert.deepEqual(query.getAll("job"), ["a:100", "b:0"]);
  connection.close();
});

Deno.test("each subscriber gets every line of its jobs once", () => {
  const { connection, subscribe, open, got } = connect();
  subscribe("early", { list: false, jobs: { a: 100 } });
  subscribe("late", { list: false, jobs: { a: 300 } });
  subscribe("other", { list: false, jobs: { b: 0 } });
  const source = open();
  for (const offset of [200, 300, 400, 400]) source.send("line", { job_id: "a", offset, event: { type: "log" } });
  assert.deepEqual(got.early.map(({ offset }) => offset), [200, 300, 400]);
  assert.deepEqual(got.late.map(({ offset }) => offset), [400]);
  assert.equal(got.other, undefined);
  connection.close();
});

Deno.test("rows go to lists and to the pages of their job, and the stream goes on after them", () => {
  const { connection, subscribe, open, got } = connect();
  subscribe("list", { list: true, jobs: {}, sequence: 1 });
  subscribe("page", { list: false, jobs: { a: 0 } });
  const source = open();
  source.send("job", { id: "a", name: "x" }, "9");
  source.send("job", { id: "b", name: "y" }, "12");
  assert.deepEqual(got.list.map(({ row }) => row.id), ["a", "b"]);
  assert.deepEqual(got.page.map(({ row }) => row.id), ["a"]);
  assert.match(connection.address(), /list=12/);
  connection.close();
});

Deno.test("a lost server is told once and tried again, ever more slowly", () => {
  const { connection, subscribe, open, got } = connect();
  subscribe("list", { list: true, jobs: {}, sequence: 1 });
  const waits = [];
  for (let i = 0; i < 8; i += 1) {
    const source = open();
    waits.push(connection.retry);
    source.onerror();
    assert.ok(source.closed);
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
  assert.deepEqual(got.list, [{ type: "online", online: false }]);
  open().onopen();
  assert.deepEqual(got.list.at(-1), { type: "online", online: true });
  assert.equal(connection.retry, 250);
  connection.close();
});

Deno.test("the last who leaves closes the stream", () => {
  const { connection, subscribe, open } = connect();
  subscribe(1, { list: true, jobs: {} });
  subscribe(2, { list: false, jobs: { a: 0 } });
  const source = open();
  connection.unsubscribe(1);
  assert.equal(source.closed, false);
  connection.unsubscribe(2);
  assert.equal(source.closed, true);
});
