/** Source and options of `plan` and `load`, checked. */
import { UsageError } from "./errors.js";
import { boolean, checkSignal, integer, oneOf, param, record } from "./params.js";
import type { EngineOptions } from "./protocol.js";
import type { LoadOptions, ModelPart, ModelSource } from "./types.js";

/** Checks the options; what is absent stays absent, but for `cache`, whose default depends on the source. */
export function engineOptions(source: ModelSource, options: LoadOptions): EngineOptions {
  const p = record("options", options);
  checkSignal(p);
  if (p.onProgress !== undefined && typeof p.onProgress !== "function") {
    throw param("onProgress", "must be a function");
  }
  const contextLength = integer(p, "contextLength", 1, 2 ** 32 - 1);
  const threads = integer(p, "threads", 1, 256);
  const kv = oneOf(p, "kv", ["f16", "f32", "q8_0"]);
  const precision = oneOf(p, "precision", ["fast", "exact"]);
  const speculate = oneOf(p, "speculate", ["auto", "off", "lookup"]);
  const tune = p.tune === undefined ? undefined : boolean(p, "tune");
  const sha256 = checkSum(p.sha256);
  const headers = headerFields(p.headers);
  return {
    device: oneOf(p, "device", ["auto", "gpu", "cpu"]) ?? "auto",
    cache: oneOf(p, "cache", ["opfs", "none"]) ?? (isAddress(source) ? "opfs" : "none"),
    ...(contextLength !== undefined && { contextLength }),
    ...(threads !== undefined && { threads }),
    ...(kv && { kv }),
    ...(precision && { precision }),
    ...(speculate && { speculate }),
    ...(tune !== undefined && { tune }),
    ...(sha256 && { sha256 }),
    ...(headers && { headers }),
  };
}

/** Whether it comes over the network, all parts of it. */
function isAddress(source: ModelSource): boolean {
  return Array.isArray(source) ? source.every((part) => typeof part === "string") : typeof source === "string";
}

/** The source with its addresses made absolute: the worker's base is not the page's. */
export function resolveSource(source: unknown): ModelSource {
  if (Array.isArray(source) && source.length > 0) {
    return source.map(resolvePart);
  }
  if (source instanceof ReadableStream) {
    if (source.locked) {
      throw param("source", "is a stream that somebody else reads");
    }
    return source;
  }
  return resolvePart(source);
}

function resolvePart(source: unknown): ModelPart {
  if (typeof source === "string" || source instanceof URL) {
    try {
      return new URL(source, globalThis.document?.baseURI).href;
    } catch (error) {
      throw new UsageError("E_PARAM", `source is no address: ${JSON.stringify(String(source))}`, "Pass the URL of a .gguf file.", { cause: error });
    }
  }
  if (source instanceof Blob || source instanceof ArrayBuffer || source instanceof Uint8Array) {
    return source;
  }
  throw new UsageError("E_PARAM", "source is no model source", "Pass a URL, a File or Blob, an ArrayBuffer, a Uint8Array, a ReadableStream, or an array of a split model's files.");
}

function checkSum(value: unknown): string | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  if (typeof value !== "string" || !/^[0-9a-f]{64}$/i.test(value)) {
    throw param("sha256", "must be 64 hexadecimal digits");
  }
  return value.toLowerCase();
}

function headerFields(value: unknown): Record<string, string> | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  const fields = Object.entries(record("headers", value)).map(([name, field]) => {
    if (typeof field !== "string") {
      throw param(`headers[${JSON.stringify(name)}]`, "must be a text");
    }
    return [name, field] as const;
  });
  return Object.fromEntries(fields);
}
