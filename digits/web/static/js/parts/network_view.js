// @ts-check
// A network that was built once: its graph, drawn by Netron in a frame, beside the table of its layers.

import { el, table } from "./elements.js";
import { number } from "./format.js";
import { url } from "./request.js";

/** @typedef {{name: string, kind: string, output_shape: number[], parameters: number}} Layer */
/**
 * @typedef {object} NetworkReport what /models/visualize-network.json answers
 * @property {number} parameters
 * @property {Record<string, number[]>} output_shapes
 * @property {Layer[]} layers
 * @property {string[]} warnings
 * @property {string} graph an ONNX file in Base64, "" where there is none
 */

/** @param {number[]} numbers */
const shape = (numbers) => numbers.join("×");

/**
 * Graph and table; the table alone where the steps are not known.
 * @param {NetworkReport} found
 */
export function networkView(found) {
  const outputs = Object.entries(found.output_shapes).map(([name, size]) => `${name} ${shape(size)}`).join(", ");
  return el(
    "div",
    { class: "layers" },
    el("p", { class: "mb-2" }, el("strong", {}, number(found.parameters)), ` parameters, output: ${outputs}`),
    ...found.warnings.map((text) => el("div", { class: "alert alert-warning" }, text)),
    el("div", { class: "network-view" }, graphFrame(found.graph), layerTable(found.layers)),
  );
}

/**
 * Netron with a network. The frame is sandboxed: the network goes to it in its address, for it can read nothing of ours.
 * @param {string} graph
 */
export function graphFrame(graph) {
  if (!graph) return null;
  const address = `${url("/netron/")}?identifier=network.onnx#data:application/octet-stream;base64,${graph}`;
  return el("iframe", { class: "network-graph", title: "Graph of the network", sandbox: "allow-scripts", src: address });
}

/** @param {Layer[]} layers */
function layerTable(layers) {
  const rows = layers.map((layer) =>
    el(
      "tr",
      {},
      el("td", { class: "font-monospace" }, layer.name),
      el("td", {}, layer.kind),
      el("td", { class: "num" }, shape(layer.output_shape)),
      el("td", { class: "num" }, layer.parameters ? number(layer.parameters) : ""),
    )
  );
  const content = table(["Layer", "Kind", "Output", "Parameters"], rows, (column) => column > 1);
  return el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Layers" }, content);
}
