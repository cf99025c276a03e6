/** Starts the package's worker. */
import { DeviceError } from "./errors.js";

const HELP = "Serve worker.js of the package from the page's own origin, or give its address as `workerUrl`; a Content-Security-Policy must allow it under worker-src.";

/**
 * The package's worker. Bundlers find its script by the first expression below, word for word, so it must stay as it is.
 * A script of another origin (a CDN) may not be a worker, but may be imported by one.
 */
export function spawnWorker(workerUrl?: string | URL): Worker {
  if (typeof Worker === "undefined") {
    throw new DeviceError("E_WORKER", "this environment has no Worker", "Load models in a browser's page, not during server-side rendering.");
  }
  try {
    if (workerUrl === undefined) {
      return startDefault();
    }
    const url = new URL(workerUrl, globalThis.document?.baseURI);
    return sameOrigin(url) ? new Worker(url, { type: "module" }) : importing(url);
  } catch (error) {
    throw new DeviceError("E_WORKER", `the worker cannot be started: ${String(error)}`, HELP, { cause: error });
  }
}

function startDefault(): Worker {
  try {
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  } catch (error) {
    const here = import.meta.url;
    const url = new URL("worker.js", here);
    if (sameOrigin(url) || !url.protocol.startsWith("http")) {
      throw error;
    }
    return importing(url);
  }
}

function sameOrigin(url: URL): boolean {
  return url.protocol === "blob:" || url.protocol === "data:" || url.origin === globalThis.location?.origin;
}

/** A worker of this origin whose only line imports the script. */
function importing(url: URL): Worker {
  const script = URL.createObjectURL(new Blob([`import ${JSON.stringify(url.href)};`], { type: "text/javascript" }));
  // Not revoked: the worker reads it at a time that nothing reports. It holds some hundred bytes.
  return new Worker(script, { type: "module" });
}
