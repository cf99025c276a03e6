/** The cache's folder in the origin's private file system, and reading one of its files. */
import type { Bytes } from "./options.js";

const FOLDER = "wasm-chord";

/** `FileSystemSyncAccessHandle`, which only a dedicated worker has. */
export interface SyncHandle {
  read(buffer: Uint8Array, options: { at: number }): number;
  write(buffer: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  getSize(): number;
  close(): void;
}

interface SyncFile {
  createSyncAccessHandle(options?: { mode: "read-only" | "readwrite" }): Promise<SyncHandle>;
}

export const dataName = (key: string): string => `${key}.gguf`;
export const journalName = (key: string): string => `${key}.journal`;

/** Throws where there is no private file system (some private windows), or no folder yet and `create` is false. */
export async function folder(create: boolean): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(FOLDER, { create });
}

/** For one writer: throws while anyone else has the file open. */
export async function openWriting(directory: FileSystemDirectoryHandle, name: string): Promise<SyncHandle> {
  const file = await directory.getFileHandle(name, { create: true });
  return (file as unknown as SyncFile).createSyncAccessHandle();
}

export interface Reading {
  size: number;
  /** `into`: memory for it, which may be used. */
  read(at: number, length: number, into?: Bytes): Promise<Bytes>;
  close(): void;
}

/** For any number of readers at once, in every tab. */
export async function openReading(directory: FileSystemDirectoryHandle, name: string): Promise<Reading> {
  const handle = await directory.getFileHandle(name);
  try {
    const sync = await (handle as unknown as SyncFile).createSyncAccessHandle({ mode: "read-only" });
    return readingOf(sync);
  } catch {
    // Browsers without the mode give one exclusive handle; slices of the file work beside it.
    const file = await handle.getFile();
    return {
      size: file.size,
      read: async (at, length) => new Uint8Array(await file.slice(at, at + length).arrayBuffer()),
      close: () => undefined,
    };
  }
}

export function readingOf(handle: SyncHandle): Reading {
  return {
    size: handle.getSize(),
    read: async (at, length, into) => {
      const bytes = into?.length === length ? into : new Uint8Array(length);
      const count = handle.read(bytes, { at });
      return count === length ? bytes : bytes.subarray(0, count);
    },
    close: () => handle.close(),
  };
}

/** The whole of a small file; null where there is none. A file that is written meanwhile is read again. */
export async function readSmall(directory: FileSystemDirectoryHandle, name: string): Promise<{ bytes: Uint8Array; modified: number } | null> {
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      const file = await (await directory.getFileHandle(name)).getFile();
      return { bytes: new Uint8Array(await file.arrayBuffer()), modified: file.lastModified };
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotReadableError") {
        return null;
      }
    }
  }
  return null;
}

export async function removeFile(directory: FileSystemDirectoryHandle, name: string): Promise<void> {
  try {
    await directory.removeEntry(name);
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== "NotFoundError") {
      throw error;
    }
  }
}
