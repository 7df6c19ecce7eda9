import assert from "node:assert/strict";
import { ALL, choiceOf, queryOf, usualChoice } from "../../digits/web/static/js/parts/picture_choice.js";

const usual = usualChoice("loss desc", "24");

Deno.test("without anything in the address the worst are shown first", () => {
  assert.deepEqual(choiceOf("", usual), { ...ALL, sort: "loss", order: "desc", size: "24", page: "0" });
  assert.equal(queryOf(usual, usual), "");
});

Deno.test("a cell of the confusion matrix is chosen by its classes", () => {
  const choice = choiceOf("?label=0&predicted=2", usual);
  assert.deepEqual(choice, { ...usual, label: "0", predicted: "2" });
  assert.equal(queryOf(choice, usual), "label=0&predicted=2");
});

Deno.test("an order of another number counts upwards unless it is said", () => {
  assert.equal(choiceOf("?sort=confidence", usual).order, "asc");
  assert.equal(choiceOf("?sort=confidence&order=desc", usual).order, "desc");
});

Deno.test("what an address says is what is shown again", () => {
  for (const search of ["only=wrong&sort=confidence&order=desc", "sort=loss&order=asc", "size=96&page=3"]) {
    const choice = choiceOf(`?${search}`, usual);
    assert.deepEqual(choiceOf(`?${queryOf(choice, usual)}`, usual), choice);
  }
});
