// The code of a model's page: a picture is prepared as the data set did it, the network runs, what comes out is shown.

/** @typedef {{data: Uint8ClampedArray | Uint8Array, width: number, height: number, channels: number}} Picture */

const $ = (id) => document.getElementById(id);
const facts = JSON.parse($("facts").textContent);
const PRECISION = 22; // bits behind the point of the weights, as Pillow has them for 8 bits
const COLOURS = ["#3d6fd9", "#d9623d", "#2f9e6e", "#b04fc2", "#c99a1a", "#3aa6b9", "#d4477f", "#7a8a2e"];
const SHOWN = 5;

/** @param {string} text Base64 */
function bytesOf(text) {
  const binary = atob(text.trim());
  const found = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) found[at] = binary.charCodeAt(at);
  return found;
}

// -- a picture becomes numbers ---------------------------------------------------------------------------------------

/** The pixels of a file: grey or colour, turned as it says, on white. @param {Blob} file @returns {Promise<Picture>} */
async function read(file) {
  const image = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  const canvas = new OffscreenCanvas(image.width, image.height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, image.width, image.height);
  pen.drawImage(image, 0, 0);
  const { data } = pen.getImageData(0, 0, image.width, image.height);
  const count = image.width * image.height;
  const out = new Uint8Array(count * facts.channels);
  for (let at = 0; at < count; at++) {
    const [r, g, b] = [data[4 * at], data[4 * at + 1], data[4 * at + 2]];
    if (facts.channels === 1) out[at] = r === g && g === b ? r : (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    else out.set([r, g, b], 3 * at);
  }
  return { data: out, width: image.width, height: image.height, channels: facts.channels };
}

/** Weights of a bilinear scaling along one side, as whole numbers. @param {number} from @param {number} to */
function weights(from, to) {
  const scale = from / to, reach = Math.max(1, scale);
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5)), last = Math.min(from, Math.trunc(centre + reach + 0.5));
    const found = [];
    let sum = 0;
    for (let at = first; at < last; at++) {
      const weight = Math.max(0, 1 - Math.abs((at - centre + 0.5) / reach));
      found.push(weight);
      sum += weight;
    }
    return { first, parts: found.map((weight) => Math.trunc(0.5 + (sum ? weight / sum : 0) * 2 ** PRECISION)) };
  });
}

/** A picture scaled, with the numbers of Pillow's bilinear. @param {Picture} picture @param {number} width @param {number} height */
function scaled(picture, width, height) {
  let now = picture;
  if (width !== now.width) now = along(now, width, false);
  if (height !== now.height) now = along(now, height, true);
  return now;
}

/** @param {Picture} picture @param {number} to @param {boolean} down @returns {Picture} */
function along(picture, to, down) {
  const { data, channels } = picture;
  const width = down ? picture.width : to, height = down ? to : picture.height;
  const out = new Uint8Array(width * height * channels);
  const step = down ? picture.width * channels : channels;
  const tables = weights(down ? picture.height : picture.width, to);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, parts } = tables[down ? y : x];
      const start = down ? first * step + x * channels : (y * picture.width + first) * channels;
      for (let c = 0; c < channels; c++) {
        let sum = 2 ** (PRECISION - 1);
        for (let k = 0; k < parts.length; k++) sum += data[start + k * step + c] * parts[k];
        out[(y * width + x) * channels + c] = Math.min(255, Math.max(0, Math.floor(sum / 2 ** PRECISION)));
      }
    }
  }
  return { data: out, width, height, channels };
}

/** A half goes to the even neighbour, as in Python. @param {number} value */
function rounded(value) {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + (low % 2) : Math.round(value);
}

/** Width and height before cutting and padding. @param {number[]} size @param {number[]} target @param {string} mode */
function scaledSize(size, target, mode) {
  const ratios = [size[0] / target[0], size[1] / target[1]];
  if (mode === "squash" || ratios[0] === ratios[1]) return target;
  const ratio = { crop: Math.min(...ratios), fill: Math.max(...ratios), half_crop: (ratios[0] + ratios[1]) / 2 }[mode];
  const found = size.map((side) => Math.max(1, rounded(side / ratio)));
  if (mode === "crop") return found.map((side, at) => Math.max(side, target[at]));
  return mode === "fill" ? found.map((side, at) => Math.min(side, target[at])) : found;
}

/** @param {number} width @param {number} height @param {number} channels @param {Uint8Array | null} ground @returns {Picture} */
function empty(width, height, channels, ground = null) {
  return { data: ground ? ground.slice() : new Uint8Array(width * height * channels), width, height, channels };
}

/** The middle of a picture as one of that size; what is missing is the ground's. @param {Picture} picture @returns {Picture} */
function middle(picture, width, height) {
  const ground = facts.noise ? bytesOf(facts.noise) : null;
  const out = empty(width, height, picture.channels, ground);
  const [w, h] = [Math.min(width, picture.width), Math.min(height, picture.height)];
  const [fromX, fromY] = [Math.floor((picture.width - w) / 2), Math.floor((picture.height - h) / 2)];
  const [toX, toY] = [Math.floor((width - w) / 2), Math.floor((height - h) / 2)];
  return placed(out, picture, { fromX, fromY, toX, toY, w, h });
}

/** @param {Picture} out @param {Picture} picture @param {{fromX: number, fromY: number, toX: number, toY: number, w: number, h: number}} part */
function placed(out, picture, { fromX, fromY, toX, toY, w, h }) {
  const { channels } = out;
  for (let y = 0; y < h; y++) {
    const start = ((fromY + y) * picture.width + fromX) * channels;
    out.data.set(picture.data.subarray(start, start + w * channels), ((toY + y) * out.width + toX) * channels);
  }
  return out;
}

/** The picture as the data set stores its own. @param {Picture} picture @returns {Picture} */
function prepared(picture) {
  const [height, width] = facts.size;
  let now = picture;
  if (facts.padding.some(Boolean)) {
    const goal = facts.padding;
    if (now.width > goal[0] || now.height > goal[1]) now = scaled(now, ...scaledSize([now.width, now.height], goal, "fill"));
    const all = { fromX: 0, fromY: 0, toX: 0, toY: 0, w: now.width, h: now.height };
    now = placed(empty(goal[0], goal[1], now.channels), now, all);
  }
  if (now.width === width && now.height === height) return now;
  return middle(scaled(now, ...scaledSize([now.width, now.height], [width, height], facts.mode)), width, height);
}

/** (1, C, H, W) @param {Picture} picture */
function channelsFirst({ data, width, height, channels }) {
  const out = new Float32Array(data.length), plane = width * height;
  for (let at = 0; at < plane; at++) {
    for (let c = 0; c < channels; c++) out[c * plane + at] = data[at * channels + c];
  }
  return out;
}

// -- what comes out --------------------------------------------------------------------------------------------------

/** @param {string} text @param {string} [tag] */
function element(tag, text = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

/** @param {{label: string, score: number, note?: string, colour?: string}[]} rows */
function bars(rows) {
  const list = document.createElement("ol");
  for (const { label, score, note = "", colour = "" } of rows) {
    const item = document.createElement("li"), line = document.createElement("span"), bar = document.createElement("i");
    line.append(element("b", label), element("span", `${(100 * score).toFixed(2)} %${note}`));
    if (colour) bar.style.background = colour;
    bar.style.width = `${100 * Math.min(1, Math.max(0, score))}%`;
    item.append(line, bar);
    list.append(item);
  }
  return list;
}

/** @param {ArrayLike<number>} scores */
function ranked(scores) {
  return facts.labels.map((label, at) => ({ label, score: scores[at], at })).sort((a, b) => b.score - a.score).slice(0, SHOWN);
}

const shows = {
  classes: (output) => bars(ranked(output.data)),
  labels: (output) =>
    bars(ranked(output.data).map((row) => {
      const least = facts.thresholds[row.at];
      return { ...row, note: least === undefined ? "" : row.score >= least ? " · found" : "" };
    })),
  map: (output, pen, picture) => {
    const [, classes, height, width] = output.dims, plane = height * width, counts = new Array(classes).fill(0);
    const over = new ImageData(width, height);
    for (let at = 0; at < plane; at++) {
      let best = 0;
      for (let c = 1; c < classes; c++) if (output.data[c * plane + at] > output.data[best * plane + at]) best = c;
      counts[best]++;
      const colour = COLOURS[best % COLOURS.length];
      over.data.set([1, 3, 5].map((from) => parseInt(colour.slice(from, from + 2), 16)).concat(best ? 140 : 0), 4 * at);
    }
    const layer = new OffscreenCanvas(width, height);
    layer.getContext("2d").putImageData(over, 0, 0);
    pen.drawImage(layer, (picture.width - width) / 2, (picture.height - height) / 2);
    const rows = ranked(counts.map((count) => count / plane)).filter(({ score }) => score > 0);
    return bars(rows.map((row) => ({ ...row, note: " of the pixels", colour: row.at ? COLOURS[row.at % COLOURS.length] : "#888" })));
  },
  boxes: (output, pen) => {
    const rows = [], least = Math.fround(facts.score_threshold);
    let below = 0;
    for (let at = 0; at < output.data.length; at += 6) {
      const [left, top, right, bottom, score, number] = output.data.slice(at, at + 6);
      if (!(score > 0)) continue;
      if (score < least) {
        below++;
        continue;
      }
      pen.strokeStyle = COLOURS[number % COLOURS.length];
      pen.lineWidth = Math.max(1, pen.canvas.width / 200);
      pen.strokeRect(left, top, right - left, bottom - top);
      rows.push({ label: facts.labels[number] ?? String(number), score, colour: COLOURS[number % COLOURS.length] });
    }
    if (rows.length) return bars(rows.slice(0, 4 * SHOWN));
    return element("p", below ? `Nothing was found with a score of ${facts.score_threshold} or more.` : "Nothing was found.");
  },
  pictures: (output, pen) => {
    const [, channels, height, width] = output.dims, plane = height * width;
    if (output.dims.length !== 4 || ![1, 3].includes(channels)) return shows.numbers(output);
    const over = new ImageData(width, height);
    for (let at = 0; at < plane; at++) {
      const [r, g, b] = [0, 1, 2].map((c) => output.data[Math.min(c, channels - 1) * plane + at]);
      over.data.set([r, g, b, 255], 4 * at);
    }
    Object.assign(pen.canvas, { width, height });
    pen.putImageData(over, 0, 0);
    return element("p", "What the model makes of the picture.");
  },
  numbers: (output) => {
    if (facts.values.length === output.data.length) {
      const table = document.createElement("table");
      for (const [at, name] of facts.values.entries()) {
        const row = document.createElement("tr");
        row.append(element("th", name), element("td", output.data[at].toPrecision(6)));
        table.append(row);
      }
      return table;
    }
    const shown = Array.from(output.data.slice(0, 20), (value) => value.toPrecision(6)).join(" ");
    return element("p", output.data.length > 20 ? `${shown} … (${output.data.length} numbers)` : shown);
  },
};

/** @param {Picture} picture */
function drawn(picture) {
  const canvas = $("picture"), pen = canvas.getContext("2d");
  Object.assign(canvas, { width: picture.width, height: picture.height });
  const image = new ImageData(picture.width, picture.height);
  for (let at = 0; at < picture.width * picture.height; at++) {
    for (let c = 0; c < 3; c++) image.data[4 * at + c] = picture.data[at * picture.channels + Math.min(c, picture.channels - 1)];
    image.data[4 * at + 3] = 255;
  }
  pen.putImageData(image, 0, 0);
  return pen;
}

// -- the page --------------------------------------------------------------------------------------------------------

async function runtime() {
  const inside = $("runtime").textContent.trim();
  if (!inside) {
    const ort = await import("./ort.wasm.bundle.min.mjs");
    ort.env.wasm.numThreads = 1;
    return ort;
  }
  const ort = await import(`data:text/javascript;base64,${inside}`);
  ort.env.wasm.wasmBinary = bytesOf($("wasm").textContent).buffer;
  ort.env.wasm.numThreads = 1;
  return ort;
}

/** @param {string} text @param {boolean} bad */
function say(text, bad = false) {
  $("state").textContent = text;
  $("state").className = bad ? "problem" : "soft";
}

async function start() {
  const ort = await runtime();
  const session = await ort.InferenceSession.create(bytesOf($("model").textContent), { executionProviders: ["wasm"] });
  $("model").textContent = "";
  $("wasm").textContent = "";

  /** @param {Blob | null | undefined} file */
  async function predict(file) {
    if (!file) return;
    say("Working …");
    try {
      const picture = prepared(await read(file));
      const dims = [1, picture.channels, picture.height, picture.width];
      const started = performance.now();
      const found = await session.run({ [facts.input]: new ort.Tensor("float32", channelsFirst(picture), dims) });
      const took = performance.now() - started;
      const output = found.output ?? found[session.outputNames[0]];
      globalThis.modelOutputs = found; // for whoever looks from the console
      $("words").replaceChildren(shows[facts.kind](output, drawn(picture), picture));
      $("result").hidden = false;
      say(`${took.toFixed(0)} ms.`);
    } catch (error) {
      $("result").hidden = true;
      say(`This cannot be used as a picture: ${error.message ?? error}`, true);
    }
  }

  const input = $("file"), drop = $("drop");
  input.disabled = false;
  input.addEventListener("change", () => predict(input.files[0]));
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    predict(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => predict(event.clipboardData?.files[0]));
  say(facts.stored_as === "jpg" ? "Ready. The training saw compressed pictures: numbers may differ a little." : "Ready.");
}

start().catch((error) => {
  const missing = !$("runtime").textContent.trim();
  say(missing ? "ONNX Runtime Web is missing: README.txt beside this page says how to add it." : `It does not start: ${error.message}`, true);
});
