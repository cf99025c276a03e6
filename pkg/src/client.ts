/** The page's end of the protocol: requests with ids, their events, and what happens when the worker dies. */
import { aborted, ChordError, DeviceError, fromWire, UsageError } from "./errors.js";
import type { Operation, Operations, Request, Response, TokenEvent } from "./protocol.js";
import type { Progress } from "./types.js";

/** What the client needs of a Worker. */
export interface WorkerLike {
  postMessage(message: Request, transfer: Transferable[]): void;
  addEventListener(type: "message" | "messageerror" | "error", listener: (event: Event) => void): void;
  terminate(): void;
}

/** What a request reports before its end, and the signal that stops it. */
export interface CallHooks {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  onPrefill?: ((progress: { done: number; total: number }) => void) | undefined;
  onToken?: ((token: TokenEvent) => void) | undefined;
  /** What of the input changes hands. */
  transfer?: Transferable[];
}

/** A request under way. */
export interface Call<Out> {
  /** The answer; rejects at once when the signal fires. */
  output: Promise<Out>;
  /** When the worker is done with it, however it ended: after an abort this comes later than `output`. Never rejects. */
  ended: Promise<void>;
}

interface Pending {
  hooks: CallHooks;
  resolve(output: unknown): void;
  reject(error: ChordError): void;
  end(): void;
}

/** One worker and the requests it has not answered. */
export class Client {
  readonly #worker: WorkerLike;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #broken: ChordError | null = null;
  readonly #trouble: BroadcastChannel | null;

  /** `trouble`: where a thread of the worker says what stopped it; the worker itself then waits for that thread and hears nothing. */
  constructor(worker: WorkerLike, trouble: BroadcastChannel | null = null) {
    this.#worker = worker;
    this.#trouble = trouble;
    trouble?.addEventListener("message", ({ data }) => this.close(workerError(`a thread of the worker stopped: ${String(data)}`)));
    worker.addEventListener("message", (event) => this.#receive((event as MessageEvent<Response>).data));
    worker.addEventListener("error", (event) => {
      const said = "message" in event && event.message ? `: ${String(event.message)}` : ": its script could not be loaded";
      this.close(workerError(`the worker stopped${said}`));
    });
    worker.addEventListener("messageerror", () => this.close(workerError("a message from the worker could not be read")));
  }

  /** Sends a request. A signal that has fired already, and a client that is closed, refuse it without a message. */
  call<K extends Operation>(op: K, input: Operations[K]["in"], hooks: CallHooks = {}): Call<Operations[K]["out"]> {
    const { signal } = hooks;
    if (this.#broken) {
      return refused(this.#broken);
    }
    if (signal?.aborted) {
      return refused(aborted(signal.reason));
    }
    const id = this.#nextId++;
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const output = new Promise<unknown>((resolve, reject) => {
      const onAbort = () => {
        const pending = this.#pending.get(id);
        if (pending) {
          pending.hooks = {};
          this.#worker.postMessage({ id, op: "abort" }, []);
        }
        reject(aborted(signal?.reason));
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#pending.set(id, {
        hooks,
        resolve,
        reject,
        end: () => {
          signal?.removeEventListener("abort", onAbort);
          end();
        },
      });
    });
    // Whoever only waits for `ended` has seen to the failure already.
    output.catch(() => undefined);
    try {
      this.#worker.postMessage({ id, op, input } as Request, hooks.transfer ?? []);
    } catch (error) {
      this.#settle(id)?.reject(new UsageError("E_PARAM", `the request cannot be sent to the worker: ${String(error)}`, "Pass plain values only."));
    }
    return { output: output as Promise<Operations[K]["out"]>, ended };
  }

  /** Ends the worker; every request under way, and every later one, fails with `error`. */
  close(error: ChordError): void {
    if (this.#broken) {
      return;
    }
    this.#broken = error;
    this.#worker.terminate();
    this.#trouble?.close();
    for (const id of [...this.#pending.keys()]) {
      this.#settle(id)?.reject(error);
    }
  }

  #receive(response: Response): void {
    const { id } = response;
    const hooks = this.#pending.get(id)?.hooks;
    if (!hooks) {
      return;
    }
    switch (response.kind) {
      case "progress":
        report(hooks.onProgress, response.progress);
        break;
      case "prefill":
        report(hooks.onPrefill, { done: response.done, total: response.total });
        break;
      case "token":
        report(hooks.onToken, response.token);
        break;
      case "done":
        this.#settle(id)?.resolve(response.output);
        break;
      case "failed":
        this.#settle(id)?.reject(fromWire(response.error));
        break;
    }
  }

  /** Takes a request off the list, so that it is answered once. */
  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.end();
    return pending;
  }
}

/** Calls a listener of the user's. What it throws is reported as uncaught, and does not stop the request. */
function report<T>(listener: ((value: T) => void) | undefined, value: T): void {
  try {
    listener?.(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function refused<Out>(error: ChordError): Call<Out> {
  const output = Promise.reject<Out>(error);
  output.catch(() => undefined);
  return { output, ended: Promise.resolve() };
}

function workerError(message: string): ChordError {
  return new DeviceError("E_WORKER", message, "Load the model again; if it happens every time, check that worker.js of the package is served (see the console).");
}
