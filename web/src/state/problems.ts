/** Errors as a person reads them: what happened, what to do, and the buttons that do it. */
import { ChordError } from "wasm-chord";

export type Remedy = "retry" | "smaller-context" | "larger-context" | "choose-another" | "clear-cache" | "new-chat" | "reload-model";

export interface Problem {
  title: string;
  message: string;
  help: string;
  code: string;
  remedies: Remedy[];
}

export type Stage = "plan" | "load" | "chat";

interface Rule {
  /** Beginning of the code. */
  prefix: string;
  title: string;
  remedies: Remedy[];
}

/** The first rule that fits counts. Codes not listed keep their own words and get the stage's usual buttons. */
const RULES: Rule[] = [
  { prefix: "E_HTTP", title: "The server did not hand out the model", remedies: ["retry", "choose-another"] },
  { prefix: "E_NETWORK", title: "The model could not be reached", remedies: ["retry", "choose-another"] },
  { prefix: "E_CORS", title: "The server does not allow this page to read the model", remedies: ["choose-another"] },
  { prefix: "E_DOWNLOAD", title: "The download broke off", remedies: ["retry", "choose-another"] },
  { prefix: "E_LENGTH", title: "The download is not as long as announced", remedies: ["retry", "clear-cache", "choose-another"] },
  { prefix: "E_CHANGED", title: "The file changed on the server", remedies: ["retry", "clear-cache"] },
  { prefix: "E_HASH", title: "The file is damaged", remedies: ["clear-cache", "choose-another"] },
  { prefix: "E_SHA256", title: "The file is damaged", remedies: ["clear-cache", "choose-another"] },
  { prefix: "E_CACHE", title: "The stored copy cannot be used", remedies: ["clear-cache", "retry"] },
  { prefix: "E_QUOTA", title: "This browser has no room left for the model", remedies: ["clear-cache", "choose-another"] },
  { prefix: "E_NOT_A_MODEL", title: "This is not a GGUF model", remedies: ["choose-another"] },
  { prefix: "E_BAD_MAGIC", title: "This is not a GGUF model", remedies: ["choose-another"] },
  { prefix: "E_TRUNCATED", title: "The file is incomplete", remedies: ["clear-cache", "choose-another"] },
  { prefix: "E_URL", title: "This address cannot be used", remedies: ["choose-another"] },
  { prefix: "E_SOURCE", title: "The file can no longer be read", remedies: ["choose-another"] },
  { prefix: "E_NO_SIMD", title: "This browser is too old to run a model", remedies: [] },
  { prefix: "E_GPU_OOM", title: "There is not enough memory", remedies: ["smaller-context", "choose-another"] },
  { prefix: "E_MEMORY", title: "There is not enough memory", remedies: ["smaller-context", "choose-another"] },
  { prefix: "E_OUT_OF_MEMORY", title: "There is not enough memory", remedies: ["smaller-context", "choose-another"] },
  { prefix: "E_FIT", title: "The model does not fit on this device", remedies: ["smaller-context", "choose-another"] },
  { prefix: "E_ADAPTER_LIMIT", title: "The model does not fit on this device", remedies: ["smaller-context", "choose-another"] },
  { prefix: "E_CTX", title: "The conversation is too long for the context", remedies: ["new-chat", "larger-context"] },
  { prefix: "E_CONTEXT", title: "The conversation is too long for the context", remedies: ["new-chat", "larger-context"] },
  { prefix: "E_KV_FULL", title: "The conversation is too long for the context", remedies: ["new-chat", "larger-context"] },
  { prefix: "E_DEVICE", title: "The GPU stopped answering", remedies: ["reload-model", "smaller-context"] },
  { prefix: "E_GPU", title: "The GPU stopped answering", remedies: ["reload-model", "smaller-context"] },
  { prefix: "E_WORKER", title: "The engine stopped", remedies: ["reload-model"] },
  { prefix: "E_DISPOSED", title: "The model is no longer loaded", remedies: ["reload-model"] },
  { prefix: "E_PARAM", title: "A setting is out of range", remedies: ["retry"] },
  { prefix: "E_SAMPLING", title: "A setting is out of range", remedies: ["retry"] },
  { prefix: "E_TEMPLATE", title: "The model's chat template cannot take this conversation", remedies: ["new-chat", "choose-another"] },
];

const USUAL: Record<Stage, { title: string; remedies: Remedy[] }> = {
  plan: { title: "This model cannot be used", remedies: ["retry", "choose-another"] },
  load: { title: "The model could not be loaded", remedies: ["retry", "choose-another"] },
  chat: { title: "The answer broke off", remedies: ["retry", "reload-model"] },
};

/** Before a model is loaded there is nothing to load again or to start anew; while chatting no context is being chosen. */
function applicable(remedies: Remedy[], stage: Stage): Remedy[] {
  const swapped = remedies.map((remedy): Remedy => {
    if (stage === "chat") {
      return remedy === "smaller-context" ? "choose-another" : remedy;
    }
    if (remedy === "larger-context") {
      return "smaller-context";
    }
    return remedy === "reload-model" || remedy === "new-chat" ? "retry" : remedy;
  });
  return [...new Set(swapped)];
}

/** A message as a sentence: the package's begin in lower case, to be read after a name. */
function sentence(text: string): string {
  const trimmed = text.trim();
  return trimmed === "" || /[.!?]$/.test(trimmed) ? trimmed.charAt(0).toUpperCase() + trimmed.slice(1) : `${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}.`;
}

export function problemOf(error: unknown, stage: Stage): Problem {
  if (!(error instanceof ChordError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { ...USUAL[stage], message, help: "Try again; if it happens again, reload the page.", code: "E_PAGE" };
  }
  const rule = RULES.find(({ prefix }) => error.code === prefix || error.code.startsWith(`${prefix}_`)) ?? USUAL[stage];
  return {
    title: rule.title,
    message: sentence(error.message),
    help: sentence(error.help),
    code: error.code,
    remedies: applicable(rule.remedies, stage),
  };
}

export function isAbort(error: unknown): boolean {
  return error instanceof ChordError ? error.code === "E_ABORTED" : error instanceof DOMException && error.name === "AbortError";
}
