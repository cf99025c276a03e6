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

/** A command to the worker, through its page's session. */
async function send(session: CDPSession, worker: string, method: string): Promise<unknown> {
  const id = ++next;
  const answer = new Promise<unknown>((resolve, reject) => {
    const listen = ({ sessionId, message }: { sessionId: string; message: string }): void => {
      const parsed = JSON.parse(message) as { id?: number; result?: unknown; error?: { message: string } };
      if (sessionId === worker && parsed.id === id) {
        session.off("Target.receivedMessageFromTarget", listen);
        if (parsed.error) {
          reject(new Error(parsed.error.message));
        } else {
          resolve(parsed.result);
        }
      }
    };
    session.on("Target.receivedMessageFromTarget", listen);
  });
  await session.send("Target.sendMessageToTarget", { sessionId: worker, message: JSON.stringify({ id, method }) });
  return answer;
}
