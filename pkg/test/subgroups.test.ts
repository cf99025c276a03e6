/** What a device is asked for where the adapter has subgroups. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withSubgroups } from "../src/subgroups.js";

type Descriptor = { label?: string; requiredFeatures?: Iterable<string> };

/** A browser's adapters, and what devices were asked for. */
function adapters() {
  const asked: (Descriptor | undefined)[] = [];
  class Adapter {
    constructor(readonly features: ReadonlySet<string>) {}

    async requestDevice(descriptor?: Descriptor): Promise<unknown> {
      return asked.push(descriptor);
    }
  }
  return { asked, adapter: (...features: string[]) => new Adapter(new Set(features)) };
}

test("an adapter with subgroups is asked for them, once, beside all else", async () => {
  const { asked, adapter } = adapters();
  assert.equal(withSubgroups(adapter("subgroups")), true);
  assert.equal(withSubgroups(adapter("subgroups")), true);
  const other = adapter("subgroups", "timestamp-query");
  await other.requestDevice({ label: "a", requiredFeatures: ["timestamp-query"] });
  await other.requestDevice();
  assert.deepEqual(asked, [{ label: "a", requiredFeatures: ["timestamp-query", "subgroups"] }, { requiredFeatures: ["subgroups"] }]);
});

test("an adapter without them is asked for what it was", async () => {
  const { asked, adapter } = adapters();
  const without = adapter("shader-f16");
  assert.equal(withSubgroups(without), false);
  await without.requestDevice({ requiredFeatures: ["shader-f16"] });
  // Nor where another of the same browser has them.
  withSubgroups(adapter("subgroups"));
  await without.requestDevice({ requiredFeatures: ["shader-f16"] });
  await without.requestDevice();
  assert.deepEqual(asked, [{ requiredFeatures: ["shader-f16"] }, { requiredFeatures: ["shader-f16"] }, undefined]);
});
