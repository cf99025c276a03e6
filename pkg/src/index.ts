/** `wasm-chord`: GGUF language models in the browser, on WebGPU. */
export { Chord } from "./chord.js";
export type { ChatCompletions, Completions } from "./chord.js";
export type { ChunkStream } from "./chunks.js";
export { AbortError, ChordError, DeviceError, DownloadError, ModelError, UsageError } from "./errors.js";
export type { CacheEntry } from "./storage/index.js";
export type * from "./types.js";
