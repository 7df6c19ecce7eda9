// @ts-check
// An evaluation's page: shows the result when the job ends, draws large confusion matrices, sorts the table of classes.

import { drawMatrix } from "../charts/confusion_chart.js";
import { drawAlways } from "../charts/theme_plot.js";
import { all, find, pageData, perhaps } from "../parts/elements.js";
import { request, url } from "../parts/request.js";
import { makeSortable } from "../parts/sortable.js";

const ASK_MS = 700;
const RUNNING = ["Initialized", "Waiting", "Running"];

/** The page of the answer to a form becomes that of the evaluation; it is loaded again when the work is over. */
async function waitForResult() {
  const id = find("#job").dataset.jobId;
  const page = `/evaluations/${id}`;
  if (!location.pathname.endsWith(page)) history.replaceState(null, "", url(page) + location.hash);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    const found = await request(`/jobs/${id}/status`).catch(() => null); // the server may be away; the request is repeated
    if (found && !RUNNING.includes(found.status)) return location.reload();
  }
}

for (const table of all("table[data-sortable]", document, HTMLTableElement)) makeSortable(table);
const chart = perhaps("[data-matrix]");
if (chart) drawAlways(() => drawMatrix(chart, pageData("matrix-data")));
if (perhaps("[data-wait]")) waitForResult();
