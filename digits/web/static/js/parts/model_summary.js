// What a filled form would make, in words, and as a request or a command that makes the same.

import { number } from "./ui.js";

const SKIPPED = new Set(["csrf_token", "boxes[]", "dataset", "model_name", "method", "custom_network"]);

const NO_OPTION = new Set(["standard_networks", "previous_networks"]);
const OPTION_NAMES = { model_name: "name", group_name: "group", train_epochs: "epochs", random_seed: "seed", solver_type: "solver" };

const list = (text) => text.replace(/[[\]()]/g, "").split(",").map((part) => part.trim()).filter(Boolean);

/** Facts (name and value), hints (what looks wrong) and how many models the form makes. */
export function describe({ form, tab, dataset, card, report, previous, compact }) {
  const value = (name) => form.elements.namedItem(name)?.value?.trim() || "";
  const models = Math.max(1, list(value("learning_rate")).length) * Math.max(1, list(value("batch_size")).length);
  const batch = Number(list(value("batch_size"))[0]) || card?.batch_size || report?.batch_size || 0;
  const epochs = Number(value("train_epochs"));
  const facts = [["Data set", dataset ? dataset.name : "none chosen"]];
  if (dataset) facts.push(...datasetFacts(dataset));
  facts.push(["Network", networkName(tab, card, previous)]);
  const parameters = report?.parameters ?? card?.parameters;
  if (parameters) facts.push(["Parameters", report ? number(parameters) : `about ${compact(parameters)}`]);
  if (dataset?.train_count && batch && epochs) {
    const steps = Math.ceil(dataset.train_count / batch) * epochs;
    facts.push(["Steps", `${number(epochs)} epochs, ${number(steps)} steps`]);
  }
  if (models > 1) facts.push(["Models", String(models)]);
  return { facts, models, hints: hints({ dataset, card, batch, crop: Number(value("crop_size")), report }) };
}

function datasetFacts(dataset) {
  const facts = [];
  const kind = { 1: "grey", 3: "colour" }[dataset.image_channels] || `${dataset.image_channels} channels`;
  if (dataset.image_width) facts.push(["Images", `${dataset.image_width}×${dataset.image_height}, ${kind}`]);
  if (dataset.train_count) facts.push(["Training", `${number(dataset.train_count)} images`]);
  if (dataset.val_count) facts.push(["Validation", `${number(dataset.val_count)} images`]);
  if (dataset.class_count) facts.push(["Classes", String(dataset.class_count)]);
  return facts;
}

function networkName(tab, card, previous) {
  if (tab === "custom") return "custom text";
  if (tab === "previous") return previous ? `${previous.network} of ${previous.name}` : "none chosen";
  return card ? card.title || card.name : "none chosen";
}

function hints({ dataset, card, batch, crop, report }) {
  const found = [];
  if (!dataset) return found;
  const side = crop || Math.min(dataset.image_width || 0, dataset.image_height || 0);
  const least = card?.minimum_size || 0, meant = card?.input_size || 0;
  if (side && least && side < least) found.push(`The network needs at least ${least}×${least} pixels; the pictures have ${side}. Make the data set larger or choose another network.`);
  else if (side && meant && side < meant * 0.6) found.push(`The network is meant for ${meant}×${meant} pixels; pictures of ${side} are small for it.`);
  if (crop && dataset.image_width && crop > Math.min(dataset.image_width, dataset.image_height)) found.push("The crop is larger than the pictures.");
  if (batch && dataset.train_count && batch > dataset.train_count) found.push("A batch is larger than the whole training data: each epoch is one step.");
  if (dataset.letter !== "D") found.push("The data set is still being made; the training starts when it is done.");
  else if (!dataset.val_count) found.push("The data set has no validation images: nothing tells how well the network does on new ones.");
  const classes = dataset.class_count, out = Object.values(report?.output_shapes || {})[0];
  if (classes && out?.length === 1 && out[0] < classes) found.push(`The network has ${out[0]} outputs for ${classes} classes.`);
  return found;
}

/** The form as a request for curl and as a command; only what differs from the server's defaults is written. */
export function readForm(form, data, tab) {
  const fields = new Map();
  for (const [name, value] of new FormData(form)) fields.set(name, [...(name === "select_gpus" ? fields.get(name) || [] : []), value]);
  for (const name of new FormData(form).getAll("boxes[]")) if (!fields.has(name)) fields.set(name, ["false"]);
  const written = [...fields].map(([name, values]) => [name, values.join(",")]).filter(([name, value]) => keep(name, value, data, tab));
  const value = (name) => fields.get(name)?.[0] || "";
  return { curl: () => asRequest(form, data, tab, value, written), cli: () => asCommand(tab, value, written) };
}

function asRequest(form, data, tab, value, written) {
  const base = [["model_name", value("model_name")], ["dataset", value("dataset")], ["method", value("method")], ...written];
  const who = data.auth ? '-H "Authorization: Bearer $DIGITS_TOKEN"' : `--form-string ${quote(`username=${data.user}`)}`;
  const sent = base.map(([name, text]) => `--form-string ${quote(`${name}=${text}`)}`);
  const text = tab === "custom" ? ["-F 'custom_network=<network.py'"] : [];
  return [`curl ${quote(`${location.origin}${form.getAttribute("action")}.json`)}`, who, ...sent, ...text].join(" \\\n  ");
}

function asCommand(tab, value, written) {
  const network = { custom: "--network-file network.py", previous: `--previous ${quote(value("previous_networks"))}` }[tab] || `--network ${quote(value("standard_networks"))}`;
  const options = [["model_name", value("model_name")], ...written].filter(([name]) => !NO_OPTION.has(name) && !name.endsWith("-snapshot"));
  return [`digits model train ${quote(value("dataset"))}`, network, ...options.map(([name, text]) => option(name, text))].join(" \\\n  ");
}

function option(name, text) {
  const flag = (OPTION_NAMES[name] || name).replaceAll("_", "-");
  if (text === "y") return `--${flag}`;
  return text === "false" ? `--no-${flag}` : `--${flag} ${quote(text)}`;
}

function keep(name, value, data, tab) {
  if (SKIPPED.has(name) || value === "" || value === data.defaults[name]) return false;
  if (name.endsWith("-snapshot")) return tab === "previous";
  if (name === "previous_networks") return tab === "previous";
  return name !== "custom_network_snapshot" || tab === "custom";
}

const quote = (text) => (/^[\w.,:/@=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
