/** The engine in the worker: one model, loaded from a source that can be opened again, kept alive through devices that fail. */
import { startEngine, type Engine, type Glue } from "./build.js";
import type { Cancel, Device, Model } from "./engine/chord_web.js";
import { adapterReturns, chooseDevice, onCpu, requireDevice } from "./device.js";
import type { Chosen } from "./device.js";
import { aborted, chordError, ModelError } from "./errors.js";
import { Losses } from "./losses.js";
import type { EngineOptions, GenerateDone, GenerateRequest, TokenEvent } from "./protocol.js";
import { openHeader, openSource } from "./storage/index.js";
import type { OpenedSource } from "./source.js";
import type { ChordInfo, ModelSource, Plan, Progress, Stats } from "./types.js";
import { threadsFor } from "./threads.js";
import { keepTuning, knownTuning } from "./tuned.js";

/** A GPU that cannot be opened, computes wrongly, or has no room: where the choice is free, the processor takes over. */
const UNFIT = new Set(["E_NO_ADAPTER", "E_ADAPTER_LIMIT", "E_DEVICE_OPEN", "E_SELF_TEST", "E_SHADER", "E_GPU_OOM", "E_FIT"]);

type Listener = { onProgress(progress: Progress): void };

export interface GenerateListener {
  onPrefill(done: number, total: number): void;
  onToken(token: TokenEvent): void;
}

function openFor(source: ModelSource, { cache = "none", sha256, headers }: EngineOptions, listener: Listener, signal: AbortSignal): Promise<OpenedSource> {
  return openSource(source, {
    cache,
    sha256,
    headers,
    signal,
    onDownload: ({ loaded, total, cached, bytesPerSecond }) => listener.onProgress({ stage: "download", loaded, total: total ?? loaded, cached, bytesPerSecond }),
  });
}

function engineFor({ device }: Chosen, { trouble }: EngineOptions): Promise<Engine> {
  return startEngine(device.threads, trouble);
}

/** What a model needs, from its header. */
export async function plan(source: ModelSource, options: EngineOptions, signal: AbortSignal): Promise<Plan> {
  const [opened, chosen] = await Promise.all([openHeader(source, { cache: "opfs", headers: options.headers, signal }), chooseDevice(options)]);
  try {
    const { glue } = await engineFor(chosen, options);
    const { adapter, device, limits } = chosen;
    const json = await glue.plan(opened, JSON.stringify({ ...options, limits }));
    return { ...(JSON.parse(json) as Omit<Plan, "adapter" | "device">), adapter, device };
  } catch (error) {
    throw asChordError(error);
  } finally {
    await opened.close();
  }
}

/** A loaded model. */
export class Host {
  readonly #source: ModelSource;
  readonly #options: EngineOptions;
  #chosen: Chosen;
  #engine: Engine;
  #model: Model | null = null;
  #device: Device | null = null;
  readonly #losses = new Losses();
  #recoveries = 0;
  #networkBytes = 0;
  #cachedBytes = 0;

  private constructor(source: ModelSource, options: EngineOptions, chosen: Chosen, engine: Engine) {
    this.#source = source;
    this.#options = options;
    this.#chosen = chosen;
    this.#engine = engine;
  }

  /** Loads; a device that fails meanwhile is replaced and the loading begins again. */
  static async load(source: ModelSource, options: EngineOptions, listener: Listener, signal: AbortSignal): Promise<Host> {
    const chosen = await requireDevice(options);
    // The file is on its way while the engine compiles.
    let opening: Promise<OpenedSource> | null = openFor(source, options, listener, signal);
    try {
      opening.catch(() => undefined);
      const host = new Host(source, options, chosen, await engineFor(chosen, options));
      await host.#surviving(signal, () => {
        const opened = opening ?? openFor(source, options, listener, signal);
        opening = null;
        return host.#loadOnce(opened, listener, signal);
      });
      return host;
    } finally {
      // Nobody took it.
      await (await opening?.catch(() => null))?.close();
    }
  }

  get info(): ChordInfo {
    const info = JSON.parse(this.#loaded().info()) as ChordInfo;
    // Of a GPU the browser tells more than the engine learns.
    return this.#chosen.device.kind === "gpu" && this.#chosen.adapter ? { ...info, adapter: this.#chosen.adapter } : info;
  }

  stats(): Stats {
    return {
      ...(JSON.parse(this.#loaded().stats()) as Stats),
      wasmBytes: this.#engine.memory.buffer.byteLength,
      networkBytes: this.#networkBytes,
      cachedBytes: this.#cachedBytes,
      recoveries: this.#recoveries,
    };
  }

  tokenize(text: string, special: boolean, bos: boolean): number[] {
    return Array.from(this.#loaded().tokenize(text, special, bos));
  }

  detokenize(ids: number[], special: boolean): string {
    try {
      return this.#loaded().detokenize(Uint32Array.from(ids), special);
    } catch (error) {
      throw asChordError(error);
    }
  }

  /** At any time, even while the model answers. */
  destroyDevice(): void {
    this.#device?.destroy();
  }

  /**
   * Answers. After a lost device the model is loaded again and the answer goes on behind the tokens already reported; draws
   * depend on seed and position alone, so they are the ones it would have had.
   */
  async generate(request: GenerateRequest, listener: GenerateListener, signal: AbortSignal): Promise<GenerateDone> {
    const seed = request.sampling.seed ?? Math.floor(Math.random() * 2 ** 32);
    const given: number[] = [];
    const attempt = async (): Promise<GenerateDone> => {
      const model = this.#model ?? (await this.#reload(signal));
      const resumed = { ...request, sampling: { ...request.sampling, seed }, resume: [...given] };
      let repeated = given.length;
      return cancellable(this.#engine.glue, signal, async (cancel) => {
        const json = await model.generate(
          JSON.stringify(resumed),
          cancel,
          (done: number, total: number) => listener.onPrefill(done, total),
          (id: number, text: string, reasoning: string, logprobs?: string) => {
            if (repeated > 0) {
              repeated -= 1;
              return;
            }
            given.push(id);
            this.#losses.progress();
            listener.onToken({ id, text, ...(reasoning && { reasoning }), ...(logprobs && { logprobs: JSON.parse(logprobs) as NonNullable<TokenEvent["logprobs"]> }) });
          },
        );
        return JSON.parse(json) as GenerateDone;
      });
    };
    return this.#surviving(signal, attempt);
  }

  /** Frees the device's memory. */
  dispose(): void {
    this.#device?.destroy();
    this.#device?.free();
    this.#model?.free();
    this.#model = this.#device = null;
  }

  #loaded(): Model {
    if (!this.#model) {
      throw new ModelError("E_DISPOSED", "no model is loaded", "Load the model again.");
    }
    return this.#model;
  }

  /** Runs `attempt`, again on another device when one fails. */
  async #surviving<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (thrown) {
        const error = asChordError(thrown);
        const lost = error.code === "E_DEVICE_LOST";
        const gpu = this.#chosen.device.kind === "gpu";
        const canChange = gpu && this.#options.device === "auto";
        if (signal.aborted || !(lost || (canChange && UNFIT.has(error.code ?? "")))) {
          throw error;
        }
        this.dispose();
        const often = lost ? this.#losses.tooOften(Date.now()) : null;
        const said = often ? `the ${gpu ? "GPU" : "device"} was lost ${often}: ${error.message}` : error.message;
        if (often && !canChange) {
          this.#losses.progress();
          throw chordError("E_DEVICE_LOST", said, 'Close other programs that use the GPU, choose a smaller model or a shorter context, then load again; device: "auto" goes on without it.');
        }
        if (this.#source instanceof ReadableStream) {
          throw chordError(error.code ?? "E_DEVICE_LOST", `the device failed, and a stream cannot be read again: ${error.message}`, 'Load the model again; device: "cpu" needs no GPU.');
        }
        this.#recoveries += Number(lost);
        if (often || !lost) {
          this.#chosen = onCpu(said, threadsFor(this.#options.threads));
          this.#engine = await engineFor(this.#chosen, this.#options);
          this.#losses.clear();
        } else if (gpu) {
          await adapterReturns(signal);
        }
      }
    }
  }

  #reload(signal: AbortSignal): Promise<Model> {
    const listener = { onProgress() {} };
    return this.#loadOnce(openFor(this.#source, this.#options, listener, signal), listener, signal);
  }

  async #loadOnce(opening: Promise<OpenedSource>, listener: Listener, signal: AbortSignal): Promise<Model> {
    const { device, subgroups } = this.#chosen;
    const { kind, reason } = device;
    const { glue, threads } = this.#engine;
    const opened = await opening;
    // Of this device nothing is kept where of the model nothing is.
    const keeps = kind === "gpu" && this.#options.cache === "opfs";
    try {
      const tuned = keeps ? await knownTuning() : undefined;
      const options = JSON.stringify({ ...this.#options, device: kind, threads, subgroups, reason, tuned });
      const model = await cancellable(glue, signal, (cancel) =>
        glue.Model.load(opened, options, cancel, (stage: "header" | "upload" | "compile" | "ready", loaded: number, total: number) => {
          // The last word comes when the file has been checked as well.
          if (stage !== "ready") {
            listener.onProgress(stage === "header" ? { stage } : { stage, loaded, total });
          }
        }),
      );
      this.#model = model;
      this.#device = model.device();
      try {
        await opened.finish();
      } catch (error) {
        this.dispose();
        throw error;
      }
      const measured = keeps ? model.tuned() : undefined;
      if (measured !== undefined) {
        await keepTuning(measured);
      }
      listener.onProgress({ stage: "ready" });
      return model;
    } finally {
      this.#count(opened);
      await opened.close();
    }
  }

  #count(opened: OpenedSource): void {
    this.#networkBytes += opened.networkBytes;
    this.#cachedBytes += opened.cachedBytes;
  }
}

/** Runs an operation of the engine that stops at its next step once the signal fires. */
async function cancellable<T>(glue: Glue, signal: AbortSignal, run: (cancel: Cancel) => Promise<T>): Promise<T> {
  const cancel = new glue.Cancel();
  const onAbort = () => cancel.cancel();
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) {
    onAbort();
  }
  try {
    return await run(cancel);
  } finally {
    signal.removeEventListener("abort", onAbort);
    cancel.free();
  }
}

/** What the engine throws is an Error with `code` and `help`. */
export function asChordError(thrown: unknown): Error & { code?: string } {
  if (thrown instanceof Error && "code" in thrown && "help" in thrown && thrown.name === "Error") {
    const code = String(thrown.code);
    return code === "E_ABORTED" ? aborted() : chordError(code, thrown.message, String(thrown.help));
  }
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
