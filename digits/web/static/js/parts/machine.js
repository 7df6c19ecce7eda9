// @ts-check
// The machine's load as meters: CPU, memory, disk and each GPU, and which job holds what of it.

import { fileSize } from "./format.js";
import { url } from "./request.js";

/** @typedef {{used: number, total: number}} Amount in bytes */
/** @typedef {{id: string, name: string, type: string, cpus: number, gpus: string[], memory: number | null, uses: string}} Holder */
/**
 * One meter; `holders` are the jobs that have some of it, with how much in words.
 * @typedef {object} Meter
 * @property {string} label
 * @property {string} title
 * @property {number} share in percent
 * @property {boolean} [scarce] whether it is bad when little is left
 * @property {string} text
 * @property {{name: string, href: string, text: string}[]} holders
 */

/** @param {Amount} amount */
const share = ({ used, total }) => (total ? (100 * used) / total : 0);

/** @param {Amount} amount */
const amountText = ({ used, total }) => `${fileSize(used)} of ${fileSize(total)}`;

/** @param {Holder} job */
const hrefOf = (job) => url(`/jobs/${job.id}`);

/**
 * @param {any} machine as `/machine.json` answers
 * @returns {Meter[]}
 */
export function meters({ cpu_percent: percent, cpus, memory, disk, gpus, jobs = [] }) {
  /** @type {Holder[]} */
  const running = jobs;
  const of = (/** @type {Holder} */ job, /** @type {string} */ text) => ({ name: job.name, href: hrefOf(job), text });
  const cores = `${Math.round(percent)} % of ${cpus} ${cpus === 1 ? "core" : "cores"}`;
  const onCpus = running.map((job) => of(job, `${job.cpus} CPU${job.cpus === 1 ? "" : "s"}`));
  const inMemory = running.filter((job) => job.memory).map((job) => of(job, `about ${fileSize(job.memory)}`));
  return [
    { label: "CPU", title: "", share: percent, text: cores, holders: onCpus },
    { label: "Memory", title: "", share: share(memory), text: amountText(memory), holders: inMemory, scarce: true },
    { label: "Disk", title: "", share: share(disk), text: amountText(disk), holders: [], scarce: true },
    ...gpus.map((/** @type {any} */ gpu) => gpuMeter(gpu, running)),
  ];
}

/**
 * @param {any} gpu
 * @param {Holder[]} running
 * @returns {Meter}
 */
function gpuMeter(gpu, running) {
  const known = gpu.memory_used !== undefined && gpu.memory_used !== null;
  const amount = { used: gpu.memory_used ?? 0, total: gpu.memory_total ?? 0 };
  const busy = gpu.busy_percent === undefined ? "" : `${gpu.busy_percent}\u00a0% busy`;
  const heat = gpu.temperature === undefined ? "" : `${gpu.temperature}\u00a0°C`;
  const holders = running.filter((job) => job.gpus.includes(String(gpu.id)));
  return {
    label: `GPU ${gpu.id}`,
    title: [gpu.name, busy, heat].filter(Boolean).join(" · "),
    share: share(amount),
    text: `${known ? amountText(amount) : fileSize(amount.total)}${gpu.job ? "" : ", free"}`,
    holders: holders.map((job) => ({ name: job.name, href: hrefOf(job), text: "" })),
  };
}
