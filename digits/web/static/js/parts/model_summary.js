// @ts-check
// What a filled form would make, in words, and as a request or a command that makes the same.

import { compact, number } from "./format.js";

/** @typedef {[name: string, value: string][]} Facts */
/** @typedef {{id: string, name: string} & Record<string, any>} Dataset as the form's page has it */

const SKIPPED = new Set(["csrf_token", "dataset", "model_name", "method", "custom_network"]);
const BOXES = "boxes[]"; // the names of all boxes of a form: browsers send those that are ticked
const NO_OPTION = new Set(["standard_networks", "previous_networks", "pretrained_networks"]);
/** @type {Record<string, string>} */
const OPTION_NAMES = {
  model_name: "name",
  group_name: "group",
  train_epochs: "epochs",
  random_seed: "seed",
  solver_type: "solver",
};
const SMALL = 0.6; // of the size that a network is meant for

/**
 * The parts of a list in a field: "[0.1, 0.01]" is two.
 * @param {string} text
 */
export const list = (text) =>
  text
    .replace(/[[\]()]/g, "")
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);

/**
 * Facts (name and value), hints (what looks wrong) and how many models the form makes.
 * @param {{value: (name: string) => string, tab: string, dataset?: Dataset, card?: any, report?: any, previous?: any}} form
 *   `value` reads a field, `card` is the chosen network, `report` what "Visualize" found
 */
export function describe({ value, tab, dataset, card, report, previous }) {
  const models = Math.max(1, list(value("learning_rate")).length) * Math.max(1, list(value("batch_size")).length);
  const batch = Number(list(value("batch_size"))[0]) || card?.batch_size || report?.batch_size || 0;
  const epochs = Number(value("train_epochs"));
  /** @type {Facts} */
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
  const crop = Number(value("crop_size"));
  return { facts, models, hints: dataset ? [...sizeHints(dataset, card, crop), ...dataHints(dataset, batch, report)] : [] };
}

/** @param {Dataset} dataset */
function datasetFacts(dataset) {
  /** @type {Facts} */
  const facts = [];
  /** @type {Record<number, string>} */
  const kinds = { 1: "grey", 3: "colour" };
  const kind = kinds[dataset.image_channels] || `${dataset.image_channels} channels`;
  if (dataset.image_width) facts.push(["Images", `${dataset.image_width}×${dataset.image_height}, ${kind}`]);
  if (dataset.train_count) facts.push(["Training", `${number(dataset.train_count)} images`]);
  if (dataset.val_count) facts.push(["Validation", `${number(dataset.val_count)} images`]);
  if (dataset.class_count) facts.push(["Classes", String(dataset.class_count)]);
  return facts;
}

/**
 * @param {string} tab
 * @param {any} card
 * @param {any} previous
 */
function networkName(tab, card, previous) {
  if (tab === "custom") return "custom text";
  if (tab === "previous" || tab === "pretrained") return previous ? `${previous.network} of ${previous.name}` : "none chosen";
  return card ? card.title || card.name : "none chosen";
}

/**
 * @param {Dataset} dataset
 * @param {any} card
 * @param {number} crop
 */
function sizeHints(dataset, card, crop) {
  const found = [];
  const shorter = Math.min(dataset.image_width || 0, dataset.image_height || 0);
  const side = crop || shorter;
  const least = card?.minimum_size || 0, meant = card?.input_size || 0;
  if (side && side < least) {
    found.push(
      `The network needs at least ${least}×${least} pixels; the pictures have ${side}. ` +
        "Make the data set larger or choose another network.",
    );
  } else if (side && side < meant * SMALL) {
    found.push(`The network is meant for ${meant}×${meant} pixels; pictures of ${side} are small for it.`);
  }
  if (dataset.image_width && crop > shorter) found.push("The crop is larger than the pictures.");
  return found;
}

/**
 * @param {Dataset} dataset
 * @param {number} batch
 * @param {any} report
 */
function dataHints(dataset, batch, report) {
  const found = [];
  if (dataset.train_count && batch > dataset.train_count) {
    found.push("A batch is larger than the whole training data: each epoch is one step.");
  }
  if (dataset.letter !== "D") found.push("The data set is still being made; the training starts when it is done.");
  else if (!dataset.val_count) {
    found.push("The data set has no validation images: nothing shows how well the network does on new ones.");
  }
  /** @type {number[] | undefined} */
  const out = Object.values(report?.output_shapes || {})[0];
  const classes = dataset.class_count;
  if (out?.length === 1 && out[0] < classes) found.push(`The network has ${out[0]} outputs for ${classes} classes.`);
  return found;
}

/**
 * The form as a request for curl and as a command; only what differs from the server's defaults is written.
 * @param {HTMLFormElement} form
 * @param {{defaults: Record<string, string>, auth: boolean, user: string}} data
 * @param {string} tab
 */
export function readForm(form, data, tab) {
  /** @type {Map<string, string[]>} */
  const fields = new Map();
  const sent = new FormData(form);
  for (const [name, value] of sent) {
    if (name === BOXES) continue;
    fields.set(name, [...(name === "select_gpus" ? fields.get(name) || [] : []), String(value)]);
  }
  for (const name of sent.getAll(BOXES).map(String)) if (!fields.has(name)) fields.set(name, ["false"]); // not ticked
  const joined = [...fields].map(([name, values]) => /** @type {[string, string]} */ ([name, values.join(",")]));
  const written = joined.filter(([name, value]) => keep(name, value, data, tab));
  const value = (/** @type {string} */ name) => fields.get(name)?.[0] || "";
  const address = `${location.origin}${form.getAttribute("action")}.json`;
  return { curl: () => asRequest(address, data, tab, value, written), cli: () => asCommand(tab, value, written) };
}

/**
 * @param {string} address
 * @param {{auth: boolean, user: string}} data
 * @param {string} tab
 * @param {(name: string) => string} value
 * @param {[string, string][]} written
 */
export function asRequest(address, data, tab, value, written) {
  const base = ["model_name", "dataset", "method"].map((name) => [name, value(name)]);
  const who = data.auth ? '-H "Authorization: Bearer $DIGITS_TOKEN"' : `--form-string ${quote(`username=${data.user}`)}`;
  const sent = [...base, ...written].map(([name, text]) => `--form-string ${quote(`${name}=${text}`)}`);
  const text = tab === "custom" ? ["-F 'custom_network=<network.py'"] : [];
  return [`curl ${quote(address)}`, who, ...sent, ...text].join(" \\\n  ");
}

/**
 * @param {string} tab
 * @param {(name: string) => string} value
 * @param {[string, string][]} written
 */
export function asCommand(tab, value, written) {
  const network = tab === "custom"
    ? "--network-file network.py"
    : tab === "pretrained"
    ? `--pretrained-networks ${quote(value("pretrained_networks"))}`
    : tab === "previous"
    ? `--previous ${quote(value("previous_networks"))} --previous-snapshot ${
      quote(value(`${value("previous_networks")}-snapshot`))
    }`
    : `--network ${quote(value("standard_networks"))}`;
  const options = [["model_name", value("model_name")], ...written];
  const named = options.filter(([name]) => !NO_OPTION.has(name) && !name.endsWith("-snapshot"));
  return [`digits model train ${quote(value("dataset"))}`, network, ...named.map(([name, text]) => option(name, text))].join(
    " \\\n  ",
  );
}

/**
 * @param {string} name
 * @param {string} text
 */
function option(name, text) {
  const flag = (OPTION_NAMES[name] || name).replaceAll("_", "-");
  if (text === "y") return `--${flag}`;
  return text === "false" ? `--no-${flag}` : `--${flag} ${quote(text)}`;
}

/**
 * @param {string} name
 * @param {string} value
 * @param {{defaults: Record<string, string>}} data
 * @param {string} tab
 */
function keep(name, value, data, tab) {
  if (SKIPPED.has(name) || value === "" || value === data.defaults[name]) return false;
  if (name === "pretrained_networks") return tab === "pretrained";
  if (name.endsWith("-snapshot") || name === "previous_networks") return tab === "previous";
  return name !== "custom_network_snapshot" || tab === "custom";
}

/** @param {string} text */
const quote = (text) => (/^[\w.,:/@=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
