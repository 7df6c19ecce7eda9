import assert from "node:assert/strict";
import { tokens } from "../../digits/web/static/js/parts/code_editor.js";
import { fileName } from "../../digits/web/static/js/parts/downloads.js";
import { asCommand, asRequest, describe, list } from "../../digits/web/static/js/parts/model_summary.js";
import { usual } from "../../digits/web/static/js/room/second.js";
import { messageOf, RequestError } from "../../digits/web/static/js/parts/request.js";

const DATASET = {
  name: "digits",
  letter: "D",
  train_count: 1000,
  val_count: 100,
  image_width: 28,
  image_height: 28,
  image_channels: 1,
  class_count: 10,
};
const FIELDS = { learning_rate: "0.1", batch_size: "32", train_epochs: "5" };
const described = (fields = {}, more = {}) =>
  describe({
    value: (name) => ({ ...FIELDS, ...fields })[name] ?? "",
    tab: "standard",
    dataset: DATASET,
    card: { name: "lenet", title: "LeNet" },
    ...more,
  });

Deno.test("lists in fields may have brackets", () => {
  assert.deepEqual(list("[0.1, 0.01]"), ["0.1", "0.01"]);
  assert.deepEqual(list(" 8 "), ["8"]);
  assert.deepEqual(list(""), []);
});

Deno.test("the summary counts steps and models", () => {
  assert.deepEqual(described().facts.find(([name]) => name === "Steps"), ["Steps", "5 epochs, 160 steps"]); // 1000 / 32, rounded up
  assert.equal(described({ learning_rate: "[0.1, 0.01]", batch_size: "8, 16, 32" }).models, 6);
  assert.equal(described().models, 1);
});

Deno.test("what looks wrong is said", () => {
  const hints = (...values) => described(...values).hints.join(" ");
  assert.equal(hints(), "");
  assert.match(hints({}, { card: { name: "n", minimum_size: 32 } }), /at least 32×32 pixels; the pictures have 28/);
  assert.match(hints({}, { card: { name: "n", input_size: 224 } }), /meant for 224×224/);
  assert.match(hints({ crop_size: "40" }), /crop is larger/);
  assert.match(hints({ batch_size: "2000" }), /larger than the whole training data/);
  assert.match(hints({}, { report: { output_shapes: { out: [5] } } }), /5 outputs for 10 classes/);
  assert.match(hints({}, { dataset: { ...DATASET, val_count: 0 } }), /no validation images/);
  assert.match(hints({}, { dataset: { ...DATASET, letter: "R" } }), /still being made/);
  assert.deepEqual(described({}, { dataset: undefined }).hints, []);
});

Deno.test("a request for curl and a command quote what a shell would take apart", () => {
  const value = (name) =>
    ({ model_name: "it's mine", dataset: "id", method: "standard", standard_networks: "lenet" })[name] ?? "";
  const written = [["train_epochs", "3"], ["shuffle", "false"], ["use_mean", "y"]];
  const request = asRequest("http://h/models.json", { auth: false, user: "me" }, "standard", value, written);
  assert.ok(request.startsWith("curl http://h/models.json"));
  assert.ok(request.includes(`--form-string 'model_name=it'\\''s mine'`));
  const command = asCommand("standard", value, written);
  assert.ok(command.startsWith("digits model train id \\\n  --network lenet"));
  for (const part of ["--epochs 3", "--no-shuffle", "--use-mean"]) assert.ok(command.includes(part), part);
  assert.ok(asRequest("http://h", { auth: true, user: "me" }, "custom", value, []).includes("custom_network=<network.py"));
  assert.ok(asCommand("custom", value, []).includes("--network-file network.py"));
  const of = (name) => ({ previous_networks: "one", "one-snapshot": "2.5" })[name] ?? value(name);
  assert.ok(asCommand("previous", of, []).includes("--previous one --previous-snapshot 2.5"));
});

Deno.test("Python is taken apart as an editor colours it", () => {
  const kinds = (text) => [...tokens(text)].map(({ kind, start, end }) => [kind, text.slice(start, end)]);
  assert.deepEqual(kinds("def net(x):  # 3 layers"), [["keyword", "def"], ["name", "net"], ["comment", "# 3 layers"]]);
  assert.deepEqual(kinds('y = f"# no {x}" + 1e-3'), [["string", 'f"# no {x}"'], ["number", "1e-3"]]);
  assert.deepEqual(kinds("@torch.no_grad\nself.a2 = None"), [["decorator", "@torch.no_grad"], ["builtin", "self"], [
    "keyword",
    "None",
  ]]);
  assert.deepEqual(kinds('"""open\nend'), [["string", '"""open\nend']]);
});

Deno.test("names of files have nothing that a file system minds", () => {
  assert.equal(fileName("a/b/cat & dog.png", "mask.png"), "cat_dog.png_mask.png");
});

Deno.test("what the server refuses is told in its own words", () => {
  assert.equal(messageOf({ errors: { name: ["Too long.", "Not new."], size: ["Bad."] } }), "name: Too long. Not new. size: Bad.");
  assert.equal(messageOf({ error: { message: "No.", description: "Because." } }), "No. Because.");
  assert.equal(new RequestError(418, null).message, "The server answered 418.");
  assert.match(new RequestError(413, "<html>413 Request Entity Too Large</html>").message, /client_max_body_size/);
  assert.match(new RequestError(502, null).message, /proxy in front of digits does not reach it/);
  assert.match(new RequestError(413, { error: { message: "Larger than 5 MiB." } }).message, /^Larger than 5 MiB/);
  assert.equal(new RequestError(400, { error: { message: "No." } }).message, "No.");
});

Deno.test("beside a model stands the best snapshot that it does not show itself", () => {
  const snapshots = [["3", false], ["2", true], ["1", false]].map(([choice, best]) => ({ choice, label: choice, best }));
  assert.equal(usual(snapshots, ""), "2");
  assert.equal(usual(snapshots, "1"), "2");
  assert.equal(usual(snapshots, "2"), "3");
  assert.equal(usual(snapshots.slice(1, 2), "2"), "2");
  assert.equal(usual([], ""), "");
});
