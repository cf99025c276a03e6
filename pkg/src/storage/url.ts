/** The address that a file is fetched from and kept under. */
import { wrongUse } from "./faults.js";

/** Absolute and without its fragment; what is relative counts from this script's or page's own address. */
export function fileUrl(source: string | URL): string {
  let url: URL;
  try {
    url = new URL(source, self.location.href);
  } catch {
    throw wrongUse(`"${String(source)}" is no address`, "Give a whole URL, such as https://example.org/model.gguf.");
  }
  url.hash = "";
  return url.href;
}

/** Whether bytes of this address may be kept: others (blob:, data:) end with the page. */
export function cacheable(url: string): boolean {
  return /^https?:/.test(url);
}
