/** Asking the browser to keep what this origin stores. */

let asked: Promise<boolean> | null = null;

/**
 * Asks once, and says whether storage is kept. A browser lets pages ask, not workers: the page calls this before it loads with the
 * cache on; in a worker it only says how things stand.
 */
export function askPersistence(): Promise<boolean> {
  asked ??= ask();
  return asked;
}

async function ask(): Promise<boolean> {
  try {
    const { storage } = navigator;
    return (await storage.persisted()) || (typeof storage.persist === "function" && (await storage.persist()));
  } catch {
    return false;
  }
}
