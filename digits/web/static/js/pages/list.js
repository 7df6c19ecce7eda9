// @ts-check
// The page of one table: models, data sets or evaluations, live. Its address is the view.

import { listStream } from "../live/live.js";
import { find, pageData } from "../parts/elements.js";
import { JobTable } from "../parts/table.js";

const table = new JobTable(find("[data-table]"), { onCount: () => {}, isShown: () => true });
table.load();
addEventListener("popstate", () => table.readAddress());
listStream({
  sequence: pageData("list-data").sequence,
  onJob: (row) => table.onRow(row),
  onReset: () => table.load(),
});
