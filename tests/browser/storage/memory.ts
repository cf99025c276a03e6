/** Bytes of live buffers and objects in the worker of a page, after a collection of garbage. */
import type { BrowserContext, CDPSession, Page } from "@playwright/test";

interface HeapUsage {
  usedSize: number;
  backingStorageSize: number;
}

const sessions = new WeakMap<Page, { session: CDPSession; worker: string }>();
let next = 0;

export async function heldBytes(context: BrowserContext, page: Page): Promise<number> {
  const { session, worker } = await attached(context, page);
  await send(session, worker, "HeapProfiler.collectGarbage");
  const usage = (await send(session, worker, "Runtime.getHeapUsage")) as HeapUsage;
  return usage.usedSize + usage.backingStorageSize;
}

async function attached(context: BrowserContext, page: Page): Promise<{ session: CDPSession; worker: string }> {
  let known = sessions.get(page);
  if (!known) {
    const session = await context.newCDPSession(page);
    const found = new Promise<string>((resolve) => session.once("Target.attachedToTarget", ({ sessionId }) => resolve(sessionId)));
    await session.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
    known = { session, worker: await found };
    sessions.set(page, known);
  }
  return known;
}

/** A command to the worker, through its page's session. A worker that ends meanwhile will never answer. */
async function send(session: CDPSession, worker: string, method: string): Promise<unknown> {
  const id = ++next;
  const { promise, resolve, reject } = withResolvers<unknown>();
  const listen = ({ sessionId, message }: { sessionId: string; message: string }): void => {
    const parsed = JSON.parse(message) as { id?: number; result?: unknown; error?: { message: string } };
    if (sessionId !== worker || parsed.id !== id) {
      return;
    }
    if (parsed.error) {
      reject(new Error(parsed.error.message));
    } else {
      resolve(parsed.result);
    }
  };
  const ended = ({ sessionId }: { sessionId: string }): void => {
    if (sessionId === worker) {
      reject(new Error("the worker has ended"));
    }
  };
  session.on("Target.receivedMessageFromTarget", listen);
  session.on("Target.detachedFromTarget", ended);
  try {
    await Promise.race([session.send("Target.sendMessageToTarget", { sessionId: worker, message: JSON.stringify({ id, method }) }), promise]);
    return await promise;
  } finally {
    session.off("Target.receivedMessageFromTarget", listen);
    session.off("Target.detachedFromTarget", ended);
  }
}

/** Promise.withResolvers, which Node 20 lacks. */
function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (reason: Error) => void } {
  let resolve!: (value: T) => void;
  let reject!: (reason: Error) => void;
  const promise = new Promise<T>((ok, bad) => {
    resolve = ok;
    reject = bad;
  });
  return { promise, resolve, reject };
}
