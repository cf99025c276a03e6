/**
 * Threads of a GPU that exchange values without memory. The engine's own library for WebGPU does not know of them in browsers, so
 * it neither asks for them nor says that they are there.
 */

interface Offered {
  features: ReadonlySet<string>;
  requestDevice(descriptor?: { requiredFeatures?: Iterable<string> }): Promise<unknown>;
}

const FEATURE = "subgroups";
const extended = new WeakSet<object>();

/** Whether the adapter has them. If so, every device that this worker asks of such adapters from now on has them too. */
export function withSubgroups(adapter: Offered): boolean {
  if (!adapter.features.has(FEATURE)) {
    return false;
  }
  const all = Object.getPrototypeOf(adapter) as Offered;
  if (!extended.has(all)) {
    extended.add(all);
    const { requestDevice } = all;
    all.requestDevice = function (this: Offered, descriptor) {
      const asked = [...(descriptor?.requiredFeatures ?? [])];
      return requestDevice.call(this, this.features.has(FEATURE) ? { ...descriptor, requiredFeatures: [...asked, FEATURE] } : descriptor);
    };
  }
  return true;
}
