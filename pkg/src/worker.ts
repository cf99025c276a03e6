/** The worker: takes the page's requests one after the other, and `abort` at once. Started by itself, it is a thread of the engine, or reads ahead. */
import { asChordError, Host, plan } from "./engine-host.js";
import { aborted, ModelError, toWire } from "./errors.js";
import type { Operation, Operations, Request, Response } from "./protocol.js";
import { beReader, isReader } from "./storage/read-ahead.js";
import { receiveSource } from "./streams.js";
import { beThread, isThread } from "./threads.js";

type Handlers = { [K in Operation]: (input: Operations[K]["in"], id: number, signal: AbortSignal) => Operations[K]["out"] | Promise<Operations[K]["out"]> };

const running = new Map<number, AbortController>();
let queue: Promise<void> = Promise.resolve();
let host: Host | null = null;

const send = (response: Response) => postMessage(response);

function loaded(): Host {
  if (!host) {
    throw new ModelError("E_DISPOSED", "no model is loaded", "Load a model first.");
  }
  return host;
}

const handlers: Handlers = {
  plan: ({ source, options }, _id, signal) => plan(receiveSource(source), options, signal),
  async load({ source, options }, id, signal) {
    host?.dispose();
    host = null;
    host = await Host.load(receiveSource(source), options, { onProgress: (progress) => send({ id, kind: "progress", progress }) }, signal);
    return host.info;
  },
  generate: (request, id, signal) =>
    loaded().generate(
      request,
      {
        onPrefill: (done, total) => send({ id, kind: "prefill", done, total }),
        onToken: (token) => send({ id, kind: "token", token }),
      },
      signal,
    ),
  tokenize: ({ text, special, bos }) => loaded().tokenize(text, special, bos),
  detokenize: ({ ids, special }) => loaded().detokenize(ids, special),
  stats: () => loaded().stats(),
  destroyDevice() {
    loaded().destroyDevice();
    return null;
  },
  dispose() {
    host?.dispose();
    host = null;
    return null;
  },
};

async function answer<K extends Operation>(op: K, input: Operations[K]["in"], id: number, control: AbortController): Promise<void> {
  try {
    if (control.signal.aborted) {
      throw aborted();
    }
    send({ id, kind: "done", output: await handlers[op](input, id, control.signal) });
  } catch (error) {
    send({ id, kind: "failed", error: toWire(control.signal.aborted ? aborted() : asChordError(error)) });
  } finally {
    running.delete(id);
  }
}

function receive({ data: request }: MessageEvent<Request>): void {
  const { id, op } = request;
  if (op === "abort") {
    running.get(id)?.abort();
    return;
  }
  const control = new AbortController();
  running.set(id, control);
  const next = () => answer(op, request.input as never, id, control);
  // The device is lost in the middle of things, not after them.
  queue = op === "destroyDevice" ? (void next(), queue) : queue.then(next);
}

if (isThread()) {
  beThread();
} else if (isReader()) {
  beReader();
} else {
  addEventListener("message", receive);
}
