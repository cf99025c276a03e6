/** Errors of the package: one class per kind a caller acts on, and in each a stable `code`. */
import type { WireError } from "./protocol.js";

/** `message` says what went wrong and where, `help` what to do about it. `code` stays the same across versions. */
export class ChordError extends Error {
  readonly code: string;
  readonly help: string;

  constructor(code: string, message: string, help: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ChordError";
    this.code = code;
    this.help = help;
  }
}

/** Stopped by an AbortSignal. Named "AbortError", as `fetch` names its own, so existing checks by name hold. */
export class AbortError extends ChordError {
  constructor(code: string, message: string, help: string, options?: ErrorOptions) {
    super(code, message, help, options);
    this.name = "AbortError";
  }
}

/** The bytes of a model did not arrive, or not as announced: network, server, cache, check sum. */
export class DownloadError extends ChordError {
  constructor(code: string, message: string, help: string, options?: ErrorOptions) {
    super(code, message, help, options);
    this.name = "DownloadError";
  }
}

/** The file is not a model that the engine runs. */
export class ModelError extends ChordError {
  constructor(code: string, message: string, help: string, options?: ErrorOptions) {
    super(code, message, help, options);
    this.name = "ModelError";
  }
}

/** The browser, the adapter or the worker cannot go on: no WebGPU, too little memory, device lost. */
export class DeviceError extends ChordError {
  constructor(code: string, message: string, help: string, options?: ErrorOptions) {
    super(code, message, help, options);
    this.name = "DeviceError";
  }
}

/** The call itself is wrong: a parameter, an order of calls. */
export class UsageError extends ChordError {
  constructor(code: string, message: string, help: string, options?: ErrorOptions) {
    super(code, message, help, options);
    this.name = "UsageError";
  }
}

type ErrorClass = new (code: string, message: string, help: string, options?: ErrorOptions) => ChordError;

/** Class by the beginning of the code; the first that fits. Codes of the engine and of the storage keep to these. */
const CLASSES: [prefix: string, kind: ErrorClass][] = [
  ["E_ABORTED", AbortError],
  ["E_DOWNLOAD", DownloadError],
  ["E_HTTP", DownloadError],
  ["E_NETWORK", DownloadError],
  ["E_CORS", DownloadError],
  ["E_RANGE", DownloadError],
  ["E_LENGTH", DownloadError],
  ["E_CHANGED", DownloadError],
  ["E_SHA256", DownloadError],
  ["E_NOT_A_MODEL", DownloadError],
  ["E_CACHE", DownloadError],
  ["E_QUOTA", DownloadError],
  ["E_SOURCE", DownloadError],
  ["E_MODEL", ModelError],
  ["E_GGUF", ModelError],
  ["E_TOKENIZER", ModelError],
  ["E_TEMPLATE", ModelError],
  ["E_DEVICE", DeviceError],
  ["E_NO_WEBGPU", DeviceError],
  ["E_NO_ADAPTER", DeviceError],
  ["E_MEMORY", DeviceError],
  ["E_FIT", DeviceError],
  ["E_WORKER", DeviceError],
  ["E_PARAM", UsageError],
  ["E_CONTEXT", UsageError],
  ["E_DISPOSED", UsageError],
  ["E_UNSUPPORTED", UsageError],
  ["E_USAGE", UsageError],
];

/** The error of this code, in its class. */
export function chordError(code: string, message: string, help: string, options?: ErrorOptions): ChordError {
  const kind = CLASSES.find(([prefix]) => code === prefix || code.startsWith(`${prefix}_`))?.[1] ?? ChordError;
  return new kind(code, message, help, options);
}

/** An error as a plain object that survives `postMessage`. What is not a ChordError becomes E_INTERNAL, an abort E_ABORTED. */
export function toWire(error: unknown): WireError {
  if (error instanceof ChordError) {
    return { code: error.code, message: error.message, help: error.help };
  }
  if (error instanceof Error) {
    if (error.name === "AbortError") {
      return toWire(aborted());
    }
    return { code: "E_INTERNAL", message: `${error.name}: ${error.message}`, help: INTERNAL_HELP };
  }
  return { code: "E_INTERNAL", message: String(error), help: INTERNAL_HELP };
}

/** The error a wire form stands for, with the stack of this side. */
export function fromWire(wire: WireError): ChordError {
  return chordError(wire.code, wire.message, wire.help);
}

/** The error of a request that its signal stopped; `reason` (the signal's) becomes the cause. */
export function aborted(reason?: unknown): AbortError {
  const options = reason === undefined ? undefined : { cause: reason };
  return new AbortError("E_ABORTED", "the request was aborted by its signal", "Nothing to do: the model stays usable for the next request.", options);
}

const INTERNAL_HELP = "This is a defect of wasm-chord: please report it with this message and the model's name.";
