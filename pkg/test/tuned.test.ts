import assert from "node:assert/strict";
import { test } from "node:test";
import { withLine } from "../src/tuned.js";

test("a line takes the place of one of its key, and the oldest are forgotten", () => {
  assert.equal(withLine("", "a lanes"), "a lanes\n");
  assert.equal(withLine("a lanes\nb lanes\n", "a tiles"), "b lanes\na tiles\n");
  assert.equal(withLine("ab lanes\n", "a lanes"), "ab lanes\na lanes\n");
  const many = Array.from({ length: 70 }, (_, i) => `k${i} x`).reduce(withLine, "");
  assert.equal(many.split("\n").length - 1, 64);
  assert.ok(many.startsWith("k6 x\n") && many.endsWith("k69 x\n"));
});
