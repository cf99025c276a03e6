/** The worker of the storage tests: opens sources and checks every byte against the server's made-up file. */
import { cacheDelete, cacheList, openHeader, openSource, type DownloadProgress, type OpenOptions } from "../../../pkg/src/storage/index.js";
import { beReader, isReader } from "../../../pkg/src/storage/read-ahead.js";
import type { OpenedSource } from "../../../pkg/src/source.js";
import type { ModelPart, ModelSource } from "../../../pkg/src/types.js";
import { ChordError } from "../../../pkg/src/errors.js";
import { fileBytes } from "../server/bytes.ts";
import type { Call, OpenCall, Outcome, ReadCall, Source } from "./calls.ts";

/** Bytes that workers of this one have read before their turn. */
let readAhead = 0;
const reads = new BroadcastChannel("reads");

let source: OpenedSource | null = null;
let stop = new AbortController();
let progress: DownloadProgress[] = [];

async function open(call: OpenCall): Promise<void> {
  stop = new AbortController();
  progress = [];
  const options: OpenOptions = {
    retryMs: 20,
    ...call.options,
    cache: call.options?.cache ?? "none",
    signal: stop.signal,
    onDownload: (value) => progress.push(value),
  };
  if (call.abortAfterMs !== undefined) {
    setTimeout(() => stop.abort(), call.abortAfterMs);
  }
  source = await (call.header ? openHeader : openSource)(made(call.source), options);
}

function made(source: Source): ModelSource {
  if (Array.isArray(source)) {
    return source.map((part) => made(part) as ModelPart);
  }
  if (typeof source === "string") {
    return source;
  }
  const bytes = fileBytes(source.seed, 0, source.size);
  switch (source.kind) {
    case "blob":
      return new Blob([bytes]);
    case "file":
      return new File([bytes], source.name ?? "dropped.gguf");
    case "array":
      return bytes;
    case "buffer":
      return bytes.slice().buffer;
    case "stream":
      return new Blob([bytes]).stream();
  }
}

/** Reads from `from` to `to` in steps; throws at the first byte that is not the file's. */
async function read(call: ReadCall): Promise<void> {
  const opened = source;
  if (!opened) {
    throw new Error("nothing is open");
  }
  for (let at = call.from ?? 0; at < call.to; ) {
    const length = Math.min(call.step ?? 3_000_001, call.to - at);
    const bytes = await (call.part === undefined ? opened.read((call.begin ?? 0) + at, length) : opened.readHeader?.(call.part, at, length));
    const expected = fileBytes(call.seed, at, length);
    if (!bytes || !same(bytes, expected)) {
      throw new Error(`wrong bytes between ${at} and ${at + length}`);
    }
    at += length;
  }
}

/** A plain loop: `every` with a closure takes ten times as long, and there are many MiB. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < b.length; i++) {
    if (a[i] !== b[i]) {
      return false;
    }
  }
  return a.length === b.length;
}

async function run(call: Call): Promise<unknown> {
  switch (call.op) {
    case "open":
      return open(call);
    case "read":
      return read(call);
    case "finish":
      return source?.finish();
    case "close":
      return source?.close();
    case "abort":
      return stop.abort();
    case "abortSoon":
      return void setTimeout(() => stop.abort(), call.ms);
    case "list":
      return cacheList();
    case "delete":
      return cacheDelete(call.url);
    case "readAhead":
      return readAhead;
    case "damage":
      return damage(call.file, call.at);
    case "hold": {
      const file = await (await cacheFolder()).getFileHandle(call.file);
      await (file as unknown as { createSyncAccessHandle(): Promise<unknown> }).createSyncAccessHandle();
      return;
    }
    case "forbidFiles":
      // As some private windows answer.
      Object.defineProperty(navigator.storage, "getDirectory", { value: () => Promise.reject(new DOMException("not here", "SecurityError")) });
      return;
    case "files": {
      const names: string[] = [];
      for await (const name of (await cacheFolder()).keys()) {
        names.push(name);
      }
      return names.sort();
    }
  }
}

async function cacheFolder(): Promise<FileSystemDirectoryHandle & { keys(): AsyncIterable<string> }> {
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("wasm-chord", { create: true });
  return folder as FileSystemDirectoryHandle & { keys(): AsyncIterable<string> };
}

/** Inverts a byte of the first file whose name ends so; `at` -1: cuts its last byte off. */
async function damage(ending: string, at: number): Promise<void> {
  const folder = await cacheFolder();
  for await (const name of folder.keys()) {
    if (name.endsWith(ending)) {
      const file = await folder.getFileHandle(name);
      const bytes = new Uint8Array(await (await file.getFile()).arrayBuffer());
      bytes[at] = ~(bytes[at] ?? 0);
      const writing = await file.createWritable();
      await writing.write(at < 0 ? bytes.subarray(0, at) : bytes);
      await writing.close();
    }
  }
}

function outcome(value: unknown, error: unknown): Outcome {
  const state = source
    ? { size: source.size, networkBytes: source.networkBytes, cachedBytes: source.cachedBytes, cacheFailed: source.cacheFailed }
    : { size: null, networkBytes: 0, cachedBytes: 0, cacheFailed: null };
  const failure =
    error instanceof ChordError
      ? { code: error.code, message: error.message, help: error.help }
      : error === undefined
        ? null
        : { code: "UNEXPECTED", message: error instanceof Error ? `${error.stack}` : String(error), help: "" };
  return { ...state, progress, value, error: failure };
}

async function receive(event: MessageEvent<{ id: number; call: Call }>): Promise<void> {
  const { id, call } = event.data;
  try {
    const value = await run(call);
    self.postMessage({ id, outcome: outcome(value, undefined) });
  } catch (error) {
    self.postMessage({ id, outcome: outcome(null, error) });
  }
}

if (isReader()) {
  const { read } = FileSystemSyncAccessHandle.prototype;
  FileSystemSyncAccessHandle.prototype.read = function (...args) {
    const count = read.apply(this, args);
    reads.postMessage(count);
    return count;
  };
  beReader();
} else {
  reads.onmessage = ({ data }: MessageEvent<number>) => (readAhead += data);
  self.onmessage = (event) => void receive(event);
}
