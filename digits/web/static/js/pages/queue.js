// The queue page: meters of the machine, and moving jobs that wait.

import { listStream } from "../live/live.js";
import { el, fileSize, request, toast } from "../parts/ui.js";

const METER_MS = 2000;
const REDRAW_MS = 300;

function meter(label, percent, text) {
  return el("div", { class: "meter" }, el("span", {}, label),
    el("div", { class: "progress", role: "progressbar", "aria-label": label, "aria-valuenow": Math.round(percent), "aria-valuemin": 0, "aria-valuemax": 100 },
      el("div", { class: "progress-bar", style: `width:${Math.min(100, percent)}%` })),
    el("span", { class: "muted" }, text));
}

const share = ({ used, total }) => (total ? (100 * used) / total : 0);
const amount = ({ used, total }) => `${fileSize(used)} of ${fileSize(total)}`;

function gpuMeters(gpu) {
  const memory = { used: gpu.memory_used ?? 0, total: gpu.memory_total ?? 0 };
  const heat = gpu.temperature === undefined || gpu.temperature === null ? "" : `, ${gpu.temperature} °C`;
  return meter(`GPU ${gpu.id} ${gpu.name}`, share(memory), `${amount(memory)}${heat}${gpu.job ? `, used by ${gpu.job}` : ", free"}`);
}

async function showMachine() {
  if (document.hidden) return;
  const machine = await request("/machine.json");
  const gpus = machine.gpus.length ? machine.gpus.map(gpuMeters) : [el("p", { class: "muted mb-0" }, "No GPU: training runs on the CPU.")];
  document.querySelector("[data-meters]").replaceChildren(
    meter("CPU", machine.cpu_percent, `${Math.round(machine.cpu_percent)} % of ${machine.cpus} cores`),
    meter("Memory", share(machine.memory), amount(machine.memory)),
    meter("Disk", share(machine.disk), amount(machine.disk)), ...gpus);
  const box = document.querySelector("[data-supervisor]");
  box.hidden = machine.supervisor.ok;
  box.textContent = `Jobs do not start at the moment. ${machine.supervisor.message}`;
}

let timer = null;
function redrawSoon() {
  clearTimeout(timer);
  timer = setTimeout(redraw, REDRAW_MS);
}

async function redraw() {
  const text = await (await fetch(location.href, { headers: { Accept: "text/html" } })).text();
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("[data-queue-page]");
  if (fresh) document.querySelector("[data-queue-page]").replaceWith(fresh);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-move]");
  if (!button) return;
  try {
    await request(`/jobs/${button.closest("tr").dataset.id}/priority`, { method: "POST", data: { move: button.dataset.move } });
    await redraw();
  } catch (error) {
    toast(error.message, "error");
  }
});

const measure = () => showMachine().catch(() => {});
measure();
setInterval(measure, METER_MS);
listStream({ onJob: redrawSoon, onReset: redrawSoon });
