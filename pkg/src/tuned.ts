/** What the engine measured on this GPU, a line a model, kept in the origin's private file system. Where there is none, every load measures. */
import { openWriting, readSmall } from "./storage/disk.js";

// Beside the models' folder: every name there is a model's.
const FOLDER = "wasm-chord-tuned";
const FILE = "tuned.txt";
/** Models remembered, the last ones. */
const MOST = 64;

async function folder(create: boolean): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(FOLDER, { create });
}

/** Every line; undefined where nothing was kept. */
export async function knownTuning(): Promise<string | undefined> {
  try {
    const file = await readSmall(await folder(false), FILE);
    return file ? new TextDecoder().decode(file.bytes) : undefined;
  } catch {
    return undefined;
  }
}

/** Lines with this one last, in the place of another of the same key, the first word. */
export function withLine(lines: string, line: string): string {
  const key = `${line.split(" ")[0]} `;
  const others = lines.split("\n").filter((other) => other !== "" && !other.startsWith(key));
  return [...others, line].slice(-MOST).join("\n") + "\n";
}

/** Keeps a line. A failure is no error: another tab writes, or nothing may be written, and it is measured again. */
export async function keepTuning(line: string): Promise<void> {
  try {
    const known = (await knownTuning()) ?? "";
    const text = withLine(known, line);
    if (text === known) {
      return;
    }
    const handle = await openWriting(await folder(true), FILE);
    try {
      const bytes = new TextEncoder().encode(text);
      handle.truncate(0);
      handle.write(bytes, { at: 0 });
      handle.flush();
    } finally {
      handle.close();
    }
  } catch {
    // As above.
  }
}
