/** Longest wait for a moment without work, in ms. */
const PATIENCE_MS = 2000;

/** Calls `work` again and again while it says true, each time when the page has nothing else to do. */
export function whenIdle(work: () => boolean): void {
  const step = () => {
    if (work()) {
      whenIdle(work);
    }
  };
  // Not in every browser.
  if (typeof requestIdleCallback === "function") {
    requestIdleCallback(step, { timeout: PATIENCE_MS });
  } else {
    setTimeout(step, PATIENCE_MS / 10);
  }
}
