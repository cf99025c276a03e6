/** Which model is meant, and what is remembered of it for the next visit. */
import { modelLabel } from "../format.js";

export type Choice =
  | { kind: "url"; url: string; label: string }
  /** One file, or the parts of a split model. `handle` lets the next visit ask for the same file again, where the browser gives one. */
  | { kind: "file"; files: File[]; label: string; handle: FileSystemFileHandle | null };

/** The last model that was ready. */
export type Last =
  | { kind: "url"; url: string; label: string; contextLength: number }
  | { kind: "file"; label: string; handle: FileSystemFileHandle | null; contextLength: number };

/** An address as people paste it: `hf:owner/repo/file.gguf` and the site's own page of a file are understood. Null: not an address. */
export function addressOf(text: string): string | null {
  const trimmed = text.trim();
  const short = /^hf:([^/\s]+)\/([^/\s]+)\/(\S+)$/.exec(trimmed);
  if (short) {
    return `https://huggingface.co/${short[1]}/${short[2]}/resolve/main/${short[3]}`;
  }
  if (trimmed === "") {
    return null;
  }
  try {
    const url = new URL(trimmed, /^(?:\.{0,2}\/|https?:)/.test(trimmed) ? location.href : undefined);
    if (url.protocol !== "https:" && url.protocol !== "http:") {
      return null;
    }
    if (url.hostname === "huggingface.co") {
      url.pathname = url.pathname.replace(/^(\/[^/]+\/[^/]+)\/blob\//, "$1/resolve/");
    }
    url.hash = "";
    return url.href;
  } catch {
    return null;
  }
}

export function choiceOfUrl(url: string, label?: string): Choice {
  return { kind: "url", url, label: label ?? modelLabel(url) };
}

/** Null where there is no file. */
export function choiceOfFiles(files: File[], handle: FileSystemFileHandle | null = null): Choice | null {
  const [first] = files;
  return first ? { kind: "file", files, label: modelLabel(first.name), handle: files.length === 1 ? handle : null } : null;
}

export function rememberable(choice: Choice, contextLength: number): Last {
  return choice.kind === "url"
    ? { kind: "url", url: choice.url, label: choice.label, contextLength }
    : { kind: "file", label: choice.label, handle: choice.handle, contextLength };
}

type AskingHandle = FileSystemFileHandle & { requestPermission?: (options: { mode: "read" }) => Promise<PermissionState> };

/** The file behind a handle of an earlier visit; the browser may ask. Null when it is refused or gone. */
export async function fileOf(handle: AskingHandle): Promise<File | null> {
  try {
    const state = (await handle.requestPermission?.({ mode: "read" })) ?? "granted";
    return state === "granted" ? await handle.getFile() : null;
  } catch {
    return null;
  }
}

type HandleItem = DataTransferItem & { getAsFileSystemHandle?: () => Promise<FileSystemHandle | null> };

/** The files of a drop. To be called within the event: the list is emptied after it. */
export async function choiceOfDrop(data: DataTransfer): Promise<Choice | null> {
  const item = [...data.items].find(({ kind }) => kind === "file") as HandleItem | undefined;
  const files = [...data.files];
  // Asked for before anything is awaited.
  const asked = item?.getAsFileSystemHandle?.();
  const handle = await Promise.resolve(asked).catch(() => null);
  return choiceOfFiles(files, handle?.kind === "file" ? (handle as FileSystemFileHandle) : null);
}
