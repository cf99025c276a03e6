/** Locks across tabs, by entry of the cache. They end with the tab or worker that holds them. */

export type Release = () => Promise<void>;

/** The lock, or null where another holds it in a way that excludes this one: at once, or after `patience` ms. */
export function hold(key: string, mode: "shared" | "exclusive", patience = 0): Promise<Release | null> {
  return new Promise((resolve, reject) => {
    // A browser allows one of the two.
    const wait = patience > 0 ? { signal: AbortSignal.timeout(patience) } : { ifAvailable: true };
    const done: Promise<void> = navigator.locks
      .request(`wasm-chord:${key}`, { mode, ...wait }, (lock) => {
        if (!lock) {
          resolve(null);
          return Promise.resolve();
        }
        return new Promise<void>((letGo) => {
          resolve(() => {
            letGo();
            return done;
          });
        });
      })
      .then(() => undefined);
    done.catch((error: unknown) => (wait.signal?.aborted ? resolve(null) : reject(error as Error)));
  });
}
