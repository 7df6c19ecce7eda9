// Reads runs from stdin, follows each as the training page does, and prints what the page would then show.
import { TrainingState } from "../../../digits/web/static/js/parts/training_state.js";

const runs = JSON.parse(await new Response(Deno.stdin.readable).text());
const shown = runs.map(({ pages, lines }) => {
  const state = new TrainingState(structuredClone(pages[0]));
  for (const { offset, event } of lines) {
    if (event && state.add(event, offset) === "reload") state.load(structuredClone(pages[offset]));
  }
  const best = Object.fromEntries(Object.keys(state.curves.val.values).map((name) => [name, state.bestOf(name)]));
  return { curves: state.curves, snapshots: state.snapshots, progress: state.progress, best };
});
console.log(JSON.stringify(shown));
