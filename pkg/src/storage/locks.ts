/** Locks across tabs, by entry of the cache. They end with the tab or worker that holds them. */

export type Release = () => Promise<void>;

/** The lock, or null at once where another holds it in a way that excludes this one. */
export function hold(key: string, mode: "shared" | "exclusive"): Promise<Release | null> {
  return new Promise((resolve, reject) => {
    const done: Promise<void> = navigator.locks
      .request(`wasm-chord:${key}`, { mode, ifAvailable: true }, (lock) => {
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
    done.catch(reject);
  });
}
