/** The model: chosen, planned, loading, ready. One at a time is loaded. */
import { signal } from "@preact/signals";
import { Chord, type ChordInfo, type Plan, type Progress, type Stats } from "wasm-chord";
import { PerFrame } from "../frame.js";
import { getValue, setValue } from "../store.js";
import { announce } from "./announce.js";
import { cached, dropCached, refreshCached } from "./cached.js";
import { choiceOfFiles, choiceOfUrl, fileOf, rememberable, type Choice, type Last } from "./choice.js";
import { isAbort, problemOf, type Problem } from "./problems.js";

/** Context that is proposed where the model allows it: a long chat, at a fraction of the memory of the longest. */
const USUAL_CONTEXT = 4096;
const SMALLEST_CONTEXT = 256;

type Of<S extends Progress["stage"]> = Extract<Progress, { stage: S }>;

/** What each stage of loading last said. */
export interface Stages {
  download: Of<"download"> | null;
  upload: Of<"upload"> | null;
  compile: Of<"compile"> | null;
}

export type Pick =
  | { phase: "idle" }
  | { phase: "planning"; choice: Choice }
  | { phase: "planned"; choice: Choice; plan: Plan; contextLength: number }
  | { phase: "loading"; choice: Choice; contextLength: number | null; stages: Stages }
  | { phase: "failed"; choice: Choice; during: "plan" | "load"; contextLength: number | null; problem: Problem };

export interface Loaded {
  chord: Chord;
  info: ChordInfo;
  choice: Choice;
  /** Aborted when the model goes: whatever still asks it stops. */
  life: AbortController;
}

export const pick = signal<Pick>({ phase: "idle" });
export const loaded = signal<Loaded | null>(null);
/** Counters of the loaded model, as of the last time it was at rest. */
export const stats = signal<Stats | null>(null);
/** The model of the last visit, while it is not loaded. */
export const last = signal<Last | null>(null);

/** The running plan or load; a new one replaces it. */
let running = new AbortController();

function begin(): AbortSignal {
  running.abort();
  running = new AbortController();
  return running.signal;
}

function sourceOf(choice: Choice): string | File[] {
  return choice.kind === "url" ? choice.url : choice.files;
}

/** Reads the header and says whether the model runs here. Nothing else is downloaded. `wish`: context to propose. */
export async function plan(choice: Choice, wish = USUAL_CONTEXT): Promise<void> {
  const signal = begin();
  pick.value = { phase: "planning", choice };
  try {
    const made = await Chord.plan(sourceOf(choice), { signal });
    if (!signal.aborted) {
      const contextLength = Math.min(wish, made.contextLengthMax);
      pick.value = { phase: "planned", choice, plan: made, contextLength };
      announce(made.fits === false ? `${choice.label} does not run here.` : `${choice.label} can be loaded.`);
    }
  } catch (error) {
    if (!signal.aborted) {
      pick.value = { phase: "failed", choice, during: "plan", contextLength: null, problem: problemOf(error, "plan") };
    }
  }
}

export function setContext(contextLength: number): void {
  const now = pick.peek();
  if (now.phase === "planned") {
    pick.value = { ...now, contextLength };
  }
}

/** Loads a model; the one before it goes first. Null context: the package decides. */
export async function load(choice: Choice, contextLength: number | null): Promise<boolean> {
  const signal = begin();
  const stages: Stages = { download: null, upload: null, compile: null };
  const show = new PerFrame(() => {
    if (!signal.aborted) {
      pick.value = { phase: "loading", choice, contextLength, stages: { ...stages } };
    }
  });
  show.now();
  await setValue("opening", true);
  try {
    await unload();
    const chord = await Chord.load(sourceOf(choice), {
      signal,
      ...(contextLength === null ? {} : { contextLength }),
      onProgress: (progress) => {
        if (progress.stage === "download") {
          stages.download = progress;
        } else if (progress.stage === "upload") {
          stages.upload = progress;
        } else if (progress.stage === "compile") {
          stages.compile = progress;
        }
        show.ask();
      },
    });
    show.cancel();
    if (signal.aborted) {
      await chord.dispose();
      return false;
    }
    loaded.value = { chord, info: chord.info, choice, life: new AbortController() };
    pick.value = { phase: "idle" };
    announce(`${choice.label} is ready.`);
    remember(rememberable(choice, chord.info.contextLength));
    void refreshStats();
    void refreshCached();
    return true;
  } catch (error) {
    show.cancel();
    if (!signal.aborted) {
      pick.value = isAbort(error)
        ? { phase: "idle" }
        : { phase: "failed", choice, during: "load", contextLength, problem: problemOf(error, "load") };
    }
    void refreshCached();
    return false;
  } finally {
    await setValue("opening", false);
  }
}

function remember(model: Last): void {
  last.value = model;
  void setValue("last", model);
}

/** Stops a plan or a load and goes back to the list. What was downloaded stays for the next attempt. */
export function cancel(): void {
  running.abort();
  pick.value = { phase: "idle" };
}

export async function unload(): Promise<void> {
  const before = loaded.peek();
  if (before !== null) {
    loaded.value = null;
    stats.value = null;
    before.life.abort();
    await before.chord.dispose();
  }
}

export async function refreshStats(): Promise<void> {
  const now = loaded.peek();
  try {
    const read = (await now?.chord.stats()) ?? null;
    if (loaded.peek() === now) {
      stats.value = read;
    }
  } catch {
    // A model that is going away has no counters.
  }
}

/** Loads again what is loaded or was tried last: after a lost device, with another context. */
export async function reload(): Promise<void> {
  const now = loaded.peek();
  if (now !== null) {
    await load(now.choice, now.info.contextLength);
  } else {
    await reopen();
  }
}

/** For a conversation that outgrew the loaded model's context: its plan again, with twice as much. */
export async function planLarger(): Promise<void> {
  const now = loaded.peek();
  if (now !== null) {
    await plan(now.choice, now.info.contextLength * 2);
  }
}

/** After a failed load: the plan again, with half the context. */
export async function planSmaller(failed: Extract<Pick, { phase: "failed" }>): Promise<void> {
  await plan(failed.choice, Math.max(SMALLEST_CONTEXT, Math.floor((failed.contextLength ?? USUAL_CONTEXT * 2) / 2)));
}

export async function retry(failed: Extract<Pick, { phase: "failed" }>): Promise<void> {
  if (failed.during === "plan") {
    await plan(failed.choice);
  } else {
    await load(failed.choice, failed.contextLength);
  }
}

/** Drops the stored copy of a model and starts anew; for a file, whatever is stored, to make room. */
export async function clearAndRetry(failed: Extract<Pick, { phase: "failed" }>): Promise<void> {
  await dropCached(failed.choice.kind === "url" ? failed.choice.url : undefined);
  await retry(failed);
}

/** The model of the last visit. A file whose handle is gone or refused has to be chosen again: false. */
export async function reopen(): Promise<boolean> {
  const model = last.peek();
  if (model === null) {
    return false;
  }
  if (model.kind === "url") {
    return load(choiceOfUrl(model.url, model.label), model.contextLength);
  }
  const file = model.handle === null ? null : await fileOf(model.handle);
  const choice = choiceOfFiles(file === null ? [] : [file], model.handle);
  return choice === null ? false : load(choice, model.contextLength);
}

/**
 * At the start: a model that is complete in the cache is loaded at once, unless the last such load never ended (a crash that
 * would come again with every visit).
 */
export async function restoreModel(): Promise<void> {
  const [model, crashed] = await Promise.all([getValue<Last>("last"), getValue<boolean>("opening"), refreshCached()]);
  last.value = model;
  if (model?.kind === "url" && crashed !== true && isComplete(model.url)) {
    await reopen();
  }
}

export function isComplete(url: string): boolean {
  return cached.value.some((entry) => entry.url === url && entry.complete);
}
