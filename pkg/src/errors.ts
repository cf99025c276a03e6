/** Errors of the package: one class per kind a caller acts on, and in each a stable `code`. */
import type { WireError } from "./protocol.js";

/** `message` says what went wrong and where, `help` what to do about it. `code` stays the same across versions. */
export class ChordError extends Error {
  static {
    // On the prototype, so that it stands at the head of the stack too.
    this.prototype.name = "ChordError";
  }

  readonly code: string;
  readonly help: string;

  constructor(code: string, message: string, help: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.help = help;
  }
}

// Each kind has a name of its own in the types, or the compiler would take them all for one.

/** Stopped by an AbortSignal. Named "AbortError", as `fetch` names its own, so existing checks by name hold. */
export class AbortError extends ChordError {
  declare name: "AbortError";
  static {
    this.prototype.name = "AbortError";
  }
}

/** The bytes of a model did not arrive, or not as announced: network, server, cache, check sum. */
export class DownloadError extends ChordError {
  declare name: "DownloadError";
  static {
    this.prototype.name = "DownloadError";
  }
}

/** The file is not a model that the engine runs. */
export class ModelError extends ChordError {
  declare name: "ModelError";
  static {
    this.prototype.name = "ModelError";
  }
}

/** The browser, the device or the worker cannot go on: no GPU where one was asked for, too little memory, device lost. */
export class DeviceError extends ChordError {
  declare name: "DeviceError";
  static {
    this.prototype.name = "DeviceError";
  }
}

/** The call itself is wrong: a parameter, an order of calls. */
export class UsageError extends ChordError {
  declare name: "UsageError";
  static {
    this.prototype.name = "UsageError";
  }
}

type ErrorClass = new (code: string, message: string, help: string, options?: ErrorOptions) => ChordError;

/** Beginnings of codes, whole words of them: `E_GPU` stands for `E_GPU_OOM` too. The longest that fits decides. */
const CODES: [kind: ErrorClass, beginnings: string][] = [
  [AbortError, "E_ABORTED"],
  [DownloadError, "E_DOWNLOAD E_HTTP E_NETWORK E_LENGTH E_HASH E_NOT_A_MODEL E_CHANGED E_CACHE E_QUOTA E_SOURCE E_READ"],
  [
    DeviceError,
    "E_ADAPTER E_ALIGN E_DEVICE E_FIT E_GPU E_MEMORY E_NO_ADAPTER E_NO_LOGITS E_NO_SIMD E_NO_TIMESTAMPS E_NO_WEBGPU E_NONFINITE E_OUT_OF_MEMORY E_RANGE E_SELF_TEST E_SHADER E_THREADS E_WORKER",
  ],
  [
    UsageError,
    "E_CONTEXT E_CTX E_DISPOSED E_DRAFT_VOCABULARY E_EMPTY_PROMPT E_FINISHED E_KV_FULL E_MESSAGE E_NO_TAPS E_PARAM E_SAMPLING E_SINK_PAGES E_TEMPLATE_KWARGS E_TEMPLATE_RAISED E_TOKEN_ID E_TOOLS E_UNSUPPORTED",
  ],
  [
    ModelError,
    "E_ARCH E_ARR E_BAD_MAGIC E_BIG_ENDIAN E_BLOCK E_BOOL E_COUNT E_DIM E_HEADER E_KEY E_KV_TYPE E_MERGES E_META E_MISSING E_MODEL E_NAME " +
      "E_NDIMS E_OFFSET E_OVERLAP E_PRETOKENIZER E_SHAPE E_SIZE E_SPLIT E_STRING E_TEMPLATE E_TENSOR E_TOKENIZER E_TOO_LARGE E_TRUNCATED " +
      "E_UNEXPECTED E_VERSION E_VOCAB",
  ],
];

const CLASSES = new Map(CODES.flatMap(([kind, beginnings]) => beginnings.split(" ").map((code) => [code, kind] as const)));

function classOf(code: string): ErrorClass {
  for (let end = code.length; end > 0; end = code.lastIndexOf("_", end - 1)) {
    const kind = CLASSES.get(code.slice(0, end));
    if (kind) {
      return kind;
    }
  }
  return ChordError;
}

/** The error of this code, in its class. */
export function chordError(code: string, message: string, help: string, options?: ErrorOptions): ChordError {
  return new (classOf(code))(code, message, help, options);
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

/**
 * The error of a request that its signal stopped: the signal's reason where that is one of this package's errors, else
 * E_ABORTED with the reason as its cause.
 */
export function aborted(reason?: unknown): ChordError {
  if (reason instanceof ChordError) {
    return reason;
  }
  const options = reason === undefined ? undefined : { cause: reason };
  return new AbortError("E_ABORTED", "the request was aborted by its signal", "Nothing to do: the model stays usable for the next request.", options);
}

const INTERNAL_HELP = "This is a defect of wasm-chord: please report it with this message and the model's name.";
