// The gallery: a click opens a picture large; arrow keys and buttons step, Escape closes.

const records = JSON.parse(document.getElementById("gallery-records").textContent);
const viewer = document.getElementById("viewer");
const picture = viewer.querySelector("[data-viewer-picture]");
const facts = viewer.querySelector("[data-viewer-facts]");
const SMALL = 96;
let current = 0;

function rows(record) {
  const [channels, height, width] = record.shape || [];
  const [originalWidth, originalHeight] = record.original_size || [0, 0];
  return [
    ["Label", record.label === null ? "" : `${record.label_name} (${record.label})`],
    ["Source", record.source],
    ["Key", record.key],
    ["Record", String(record.index)],
    ["Stored size", width ? `${width}×${height}, ${channels} channel${channels === 1 ? "" : "s"}` : ""],
    ["Original size", originalWidth ? `${originalWidth}×${originalHeight}` : ""],
    ["Group", record.group],
  ].filter(([, value]) => value);
}

function show(at) {
  current = (at + records.length) % records.length;
  const record = records[current];
  const [, height, width] = record.shape || [0, SMALL, SMALL];
  picture.src = record.picture;
  picture.alt = record.label_name || record.key;
  picture.classList.toggle("small", width < SMALL && height < SMALL);
  facts.replaceChildren(
    ...rows(record).flatMap(([name, value]) => [
      Object.assign(document.createElement("dt"), { textContent: name }),
      Object.assign(document.createElement("dd"), { textContent: value }),
    ]),
  );
  new Image().src = records[(current + 1) % records.length].picture;
}

function keys(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  show(current + step);
}

document.querySelector("[data-goto]")?.addEventListener("change", (event) => location.assign(event.target.value));
document.getElementById("gallery")?.addEventListener("click", (event) => {
  const button = event.target.closest("[data-at]");
  if (!button) return;
  show(Number(button.dataset.at));
  viewer.showModal();
});
viewer.addEventListener("keydown", keys);
viewer.addEventListener("click", (event) => {
  const step = event.target.closest("[data-step]");
  if (step) show(current + Number(step.dataset.step));
  else if (event.target === viewer || event.target.closest("[data-close]")) viewer.close();
});
viewer.addEventListener("close", () => document.querySelector(`[data-at="${current}"]`)?.focus());
