/** The errors of storage, each with what to do about it. */
import { aborted, ChordError, DownloadError } from "../errors.js";

export { aborted };

/** `fetch` was refused without an answer. Browsers hide why. */
export function networkError(url: string, cause: unknown): ChordError {
  const offline = typeof navigator !== "undefined" && navigator.onLine === false;
  const message = offline
    ? `no network: ${url} could not be reached`
    : `no answer from ${url}: either the network or the server is down, or the server does not allow this page (CORS)`;
  const help = "Open the address in a tab of its own. If it loads there, its server must send Access-Control-Allow-Origin; else check the connection.";
  return new DownloadError("E_NETWORK", message, help, { cause });
}

export function httpError(url: string, status: number): ChordError {
  return new DownloadError("E_HTTP", `the server answered ${status} for ${url}`, httpHelp(status));
}

function httpHelp(status: number): string {
  if (status === 401 || status === 403) {
    return "The file needs a permission: pass an Authorization header in `headers`, or choose a public file.";
  }
  if (status === 404 || status === 410) {
    return "There is no such file: check the address.";
  }
  return status === 429 || status >= 500 ? "The server is busy or broken: try again later." : "Check the address and the headers.";
}

export function brokenDownload(url: string, at: number, size: number | null, attempts: number, cause: unknown): ChordError {
  const where = size === null ? `byte ${at}` : `byte ${at} of ${size}`;
  return new DownloadError(
    "E_DOWNLOAD",
    `the download of ${url} broke at ${where}, and ${attempts} attempts to go on failed`,
    "Check the connection and load again: with the cache on, the download goes on where it stopped.",
    { cause },
  );
}

export function wrongLength(what: string, expected: number, actual: number): ChordError {
  return new DownloadError(
    "E_LENGTH",
    `${what} was announced with ${expected} bytes and has ${actual}`,
    "The server, or a proxy before it, announces a wrong length: load the file from elsewhere.",
  );
}

export function unknownSize(what: string): ChordError {
  return new DownloadError("E_LENGTH", `the server does not tell the size of ${what}`, "Load it from a server that sends Content-Length or Content-Range.");
}

export function changedFile(url: string): ChordError {
  return new DownloadError("E_CHANGED", `${url} changed on the server while it was read`, "Load again: the new file is then read from its beginning.");
}

export function wrongHash(what: string, expected: string, actual: string): ChordError {
  return new DownloadError(
    "E_HASH",
    `the SHA-256 of ${what} is ${actual}, not ${expected}`,
    "The file is damaged or is another one: nothing of it was kept. Check the expected sum, then load again.",
  );
}

export function notAModel(url: string, status: number, type: string, begin: Uint8Array): ChordError {
  const words = new TextDecoder().decode(begin.subarray(0, 400)).replace(/[^\x20-\x7e]+|<[^>]*>/g, " ").replace(/ +/g, " ").trim().slice(0, 80);
  const shown = words === "" ? "nothing readable" : `"${words}"`;
  return new DownloadError(
    "E_NOT_A_MODEL",
    `${url} is no GGUF file: status ${status}, type ${type === "" ? "not given" : type}, it begins with ${shown}`,
    "Use the address of the .gguf file itself, not of a page about it.",
  );
}

export function unreadable(what: string, cause: unknown): ChordError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DownloadError("E_SOURCE", `${what} could not be read: ${reason}`, "If it is a file, it may have been moved or changed: choose it again.", { cause });
}

export function wrongUse(message: string, help: string): ChordError {
  return new DownloadError("E_SOURCE", message, help);
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw aborted(signal.reason);
  }
}
