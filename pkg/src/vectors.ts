/** Which of the engine's builds this browser runs. */
import { chordError } from "./errors.js";

/** (module (func (export "f") (param i32) (result i32) … one lane of i32x4.relaxed_dot_i8x16_i7x16_add_s(x, 3s, 1000s) …)) */
const RELAXED = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 23, 1, 21, 0, 32, 0, 253, 15, 65, 3, 253, 15, 65, 232, 7, 253,
  17, 253, 147, 2, 253, 27, 0, 11,
);
/** The same with i8x16.splat alone. */
const PLAIN = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11);

/** Whether relaxed vectors are there and right: an early V8 (in Node 20, behind a flag) leaves out the sum of this product at first. */
function hasRelaxed(): boolean {
  if (!WebAssembly.validate(RELAXED)) {
    return false;
  }
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(RELAXED)).exports;
  return (f as (x: number) => number)(-2) === 1000 - 4 * 6;
}

/** The address of the build, for threads or without. Bundlers find the files by these expressions, word for word. */
export function engineUrl(threads: boolean): URL {
  if (hasRelaxed()) {
    return threads ? new URL("./engine/chord_web_relaxed_threads_bg.wasm", import.meta.url) : new URL("./engine/chord_web_relaxed_bg.wasm", import.meta.url);
  }
  if (WebAssembly.validate(PLAIN)) {
    return threads ? new URL("./engine/chord_web_threads_bg.wasm", import.meta.url) : new URL("./engine/chord_web_bg.wasm", import.meta.url);
  }
  throw chordError("E_NO_SIMD", "this browser's WebAssembly has no vectors (SIMD)", "Use a current Chrome, Edge or Firefox, or Safari 16.4 or later.");
}
