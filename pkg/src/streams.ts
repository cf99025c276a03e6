/**
 * A `ReadableStream` on its way into the worker. Where the browser transfers streams it goes as it is; where it does not
 * (Safari), its chunks follow one by one through a MessagePort, each only after the worker has asked for it.
 */
import type { ModelSource } from "./types.js";

/** Stands for a stream in a message: its chunks come through the port. */
export interface StreamPort {
  streamPort: MessagePort;
}

/** What the worker may find as `source`. */
export type SentSource = ModelSource | StreamPort;

/** From the feeding side: a chunk, the end, or the stream's own failure in words. */
type Fed = { chunk: Uint8Array } | { end: true } | { failed: string };
/** From the reading side: one more chunk, or no more at all. */
type Asked = "pull" | "cancel";

/** The source as it may be posted, with what must be transferred. Bytes are copied: the caller's buffer stays the caller's. */
export function sendSource(source: ModelSource): { source: SentSource; transfer: Transferable[] } {
  if (source instanceof ReadableStream) {
    return streamTransfers() ? { source, transfer: [source] } : feedThroughPort(source);
  }
  const transfer: Transferable[] = [];
  const send = <T>(part: T): T | Uint8Array => {
    if (!(part instanceof Uint8Array)) {
      return part;
    }
    // A view is cloned together with its whole buffer, so only the part in view is copied, and handed over.
    const bytes = part.slice();
    transfer.push(bytes.buffer);
    return bytes;
  };
  return { source: Array.isArray(source) ? source.map(send) : send(source), transfer };
}

/** The source as it was before `sendSource`. */
export function receiveSource(sent: SentSource): ModelSource {
  if (typeof sent === "object" && "streamPort" in sent) {
    return readFromPort(sent.streamPort);
  }
  return sent;
}

let transfers: boolean | undefined;

/** Whether a stream can be transferred here, tried once with an empty one. */
function streamTransfers(): boolean {
  if (transfers === undefined) {
    const probe = new ReadableStream();
    try {
      structuredClone(probe, { transfer: [probe] });
      transfers = true;
    } catch {
      transfers = false;
    }
  }
  return transfers;
}

/** The stream, to be read through a port by `readFromPort` on the other side. */
export function feedThroughPort(stream: ReadableStream<Uint8Array>): { source: StreamPort; transfer: Transferable[] } {
  const { port1, port2 } = new MessageChannel();
  const reader = stream.getReader();
  const send = (message: Fed, transfer: Transferable[] = []) => port1.postMessage(message, transfer);
  port1.onmessage = (event: MessageEvent<Asked>) => {
    if (event.data === "cancel") {
      port1.close();
      reader.cancel().catch(() => undefined);
      return;
    }
    reader.read().then(
      ({ done, value }) => {
        if (done) {
          send({ end: true });
          port1.close();
          return;
        }
        if (!(value instanceof Uint8Array)) {
          send({ failed: "its chunks are no Uint8Array" });
          port1.close();
          return;
        }
        const chunk = value.slice();
        send({ chunk }, [chunk.buffer]);
      },
      (error: unknown) => {
        send({ failed: error instanceof Error ? error.message : String(error) });
        port1.close();
      },
    );
  };
  return { source: { streamPort: port2 }, transfer: [port2] };
}

function readFromPort(port: MessagePort): ReadableStream<Uint8Array> {
  const ask = (what: Asked) => port.postMessage(what);
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        return new Promise<void>((resolve) => {
          port.onmessage = (event: MessageEvent<Fed>) => {
            const fed = event.data;
            if ("chunk" in fed) {
              controller.enqueue(fed.chunk);
            } else {
              port.close();
              if ("end" in fed) {
                controller.close();
              } else {
                controller.error(new Error(fed.failed));
              }
            }
            resolve();
          };
          ask("pull");
        });
      },
      cancel() {
        ask("cancel");
        port.close();
      },
    },
    { highWaterMark: 0 },
  );
}
