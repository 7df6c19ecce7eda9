// @ts-check
// The queue page: meters of the machine, and moving jobs that wait.

import { listStream } from "../live/live.js";
import { toast } from "../parts/dialogs.js";
import { el, find, meter } from "../parts/elements.js";
import { meters } from "../parts/machine.js";
import { loadPage, request } from "../parts/request.js";
import { debounced } from "../parts/timing.js";

const METER_MS = 2000;
const REDRAW_MS = 300;

async function showMachine() {
  if (document.hidden) return;
  const machine = await request("/machine.json");
  const shown = meters(machine).map(({ label, title, share, text, holders }) => {
    const names = holders.map(({ name }) => name).join(", ");
    return meter(
      title ? `${label} ${title}` : label,
      share,
      label.startsWith("GPU") && names ? `${text}, used by ${names}` : text,
    );
  });
  const none = !machine.gpus.length && el("p", { class: "muted mb-0" }, "No GPU: training runs on the CPU.");
  find("[data-meters]").replaceChildren(...shown, ...(none ? [none] : []));
  const { supervisor } = machine;
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
