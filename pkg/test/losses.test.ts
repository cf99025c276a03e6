import assert from "node:assert/strict";
import { test } from "node:test";
import { Losses } from "../src/losses.js";

test("three losses within a minute are too many, and losses further apart are accidents", () => {
  const losses = new Losses();
  const after = (seconds: number) => {
    losses.progress();
    return losses.tooOften(1000 * seconds);
  };
  assert.deepEqual([0, 30, 61].map(after), [null, null, null]);
  assert.equal(after(89), "3 times within 60 seconds");
  assert.deepEqual([200, 230, 261].map(after), [null, null, null]);
});

test("three losses without a token in between are too many, however far apart", () => {
  const losses = new Losses();
  const after = (seconds: number) => losses.tooOften(1000 * seconds);
  assert.deepEqual([0, 100].map(after), [null, null]);
  assert.equal(after(200), "3 times without a token in between");
  losses.progress();
  assert.deepEqual([300, 400].map(after), [null, null]);
  losses.clear();
  assert.deepEqual([410, 420].map(after), [null, null]);
});
