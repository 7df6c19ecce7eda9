// @ts-check
// The queue page: meters of the machine, and moving jobs that wait.

import { listStream } from "../live/live.js";
import { toast } from "../parts/dialogs.js";
import { el, find, meter } from "../parts/elements.js";
import { fileSize } from "../parts/format.js";
import { loadPage, request } from "../parts/request.js";
import { debounced } from "../parts/timing.js";

/** @typedef {{used: number, total: number}} Amount in bytes */

const METER_MS = 2000;
const REDRAW_MS = 300;

/** @param {Amount} amount */
const share = ({ used, total }) => (total ? (100 * used) / total : 0);

/** @param {Amount} amount */
const amountText = ({ used, total }) => `${fileSize(used)} of ${fileSize(total)}`;

/** @param {any} gpu */
function gpuMeter(gpu) {
  const memory = { used: gpu.memory_used ?? 0, total: gpu.memory_total ?? 0 };
  const heat = gpu.temperature === undefined || gpu.temperature === null ? "" : `, ${gpu.temperature} °C`;
  const text = `${amountText(memory)}${heat}${gpu.job ? `, used by ${gpu.job}` : ", free"}`;
  return meter(`GPU ${gpu.id} ${gpu.name}`, share(memory), text);
}

async function showMachine() {
  if (document.hidden) return;
  const { cpu_percent: percent, cpus, memory, disk, gpus, supervisor } = await request("/machine.json");
  find("[data-meters]").replaceChildren(
    meter("CPU", percent, `${Math.round(percent)} % of ${cpus} cores`),
    meter("Memory", share(memory), amountText(memory)),
    meter("Disk", share(disk), amountText(disk)),
    ...(gpus.length ? gpus.map(gpuMeter) : [el("p", { class: "muted mb-0" }, "No GPU: training runs on the CPU.")]),
  );
  const box = find("[data-supervisor]");
  box.hidden = supervisor.ok;
  box.textContent = `Jobs do not start at the moment. ${supervisor.message}`;
}

async function redraw() {
  const fresh = (await loadPage()).querySelector("[data-queue-page]");
  if (fresh) find("[data-queue-page]").replaceWith(fresh);
}

/**
 * @param {string} id of the job
 * @param {string} move
 */
async function moveJob(id, move) {
  try {
    await request(`/jobs/${id}/priority`, { method: "POST", data: { move } });
    await redraw();
  } catch (error) {
    toast(/** @type {Error} */ (error).message, "error");
  }
}

document.addEventListener("click", ({ target }) => {
  const button = target instanceof Element && target.closest("[data-move]");
  const row = button && button.closest("tr");
  if (row && button instanceof HTMLElement) moveJob(row.dataset.id ?? "", button.dataset.move ?? "");
});

const measure = () => showMachine().catch(() => {});
const redrawSoon = debounced(() => redraw().catch(() => {}), REDRAW_MS);
measure();
setInterval(measure, METER_MS);
listStream({ onJob: redrawSoon, onReset: redrawSoon });
