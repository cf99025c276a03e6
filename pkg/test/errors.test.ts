import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as errors from "../src/errors.js";

test("an error crosses the worker's border and keeps class, code, message and help", () => {
  const kinds = [
    ["E_ABORTED", errors.AbortError],
    ["E_NETWORK", errors.DownloadError],
    ["E_BAD_MAGIC", errors.ModelError],
    ["E_DEVICE_LOST", errors.DeviceError],
    ["E_PARAM", errors.UsageError],
    ["E_INTERNAL", errors.ChordError],
  ] as const;
  for (const [code, kind] of kinds) {
    const wire = structuredClone(errors.toWire(errors.chordError(code, "what", "do")));
    const back = errors.fromWire(wire);
    assert.equal(back.constructor, kind, code);
    assert.equal(back.name, kind.name);
    assert.ok(back.stack?.startsWith(`${kind.name}: what`), String(back.stack));
    assert.deepEqual([back.code, back.message, back.help], [code, "what", "do"]);
    assert.ok(back instanceof Error && back instanceof errors.ChordError);
  }
});

test("what is no error of ours becomes E_INTERNAL; an abort by name E_ABORTED", () => {
  assert.equal(errors.toWire(new TypeError("x is undefined")).message, "TypeError: x is undefined");
  assert.equal(errors.toWire(new TypeError("x")).code, "E_INTERNAL");
  assert.equal(errors.toWire("a text").code, "E_INTERNAL");
  assert.equal(errors.toWire(new DOMException("stopped", "AbortError")).code, "E_ABORTED");
});

test("the longest beginning of a code decides its class", () => {
  assert.ok(errors.chordError("E_TEMPLATE_RAISED", "", "") instanceof errors.UsageError);
  assert.ok(errors.chordError("E_TEMPLATE_SYNTAX", "", "") instanceof errors.ModelError);
  assert.ok(errors.chordError("E_KV_TYPE", "", "") instanceof errors.ModelError);
  assert.equal(errors.chordError("E_GPUX", "", "").constructor, errors.ChordError);
});

test("every code of the engine and of the storage has a class", () => {
  const root = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../../..");
  const folders = [...["gguf", "model", "text", "kernels", "quant", "runtime"].map((c) => join(root, "crates", c, "src")), join(root, "pkg/src/storage")];
  const codes = new Set<string>();
  for (const folder of folders) {
    for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
      if (/\.(rs|ts)$/.test(entry)) {
        for (const [, code] of readFileSync(join(folder, entry), "utf8").matchAll(/"(E_[A-Z0-9_]+)"/g)) {
          codes.add(code ?? "");
        }
      }
    }
  }
  assert.ok(codes.size > 60, `only ${codes.size} codes found`);
  const bare = [...codes].filter((code) => errors.chordError(code, "", "").constructor === errors.ChordError && code !== "E_INTERNAL");
  assert.deepEqual(bare, [], "add these to CODES in errors.ts");
});
