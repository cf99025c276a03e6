/** One entry of the cache: a data file, its journal and the lock that says who may write. */
import { dataName, folder, journalName, openReading, openWriting, readingOf, readSmall, removeFile, type Reading, type SyncHandle } from "./disk.js";
import { checksum, keyOf, type Checksum } from "./hash.js";
import { completeLine, checksumsLine, firstLine, parseJournal, type Identity, type Journal } from "./journal.js";
import { hold, type Release } from "./locks.js";
import { PIECE, type Bytes } from "./options.js";

/** ms that a page that was closed or reloaded may take to let go of what it had open. */
const LEAVING_MS = 500;

interface Writing {
  data: SyncHandle;
  journal: SyncHandle;
}

export class Entry {
  /** Checksums by piece, of the pieces that are in the file. Those not yet in the journal are there too. */
  checksums: (string | undefined)[];
  private pending: { at: number; checksums: string[] } | null = null;
  /** Where the journal's next line goes: after the last good one, over a torn one. */
  private end: number;
  private open = true;
  private unfinished: boolean;

  private constructor(
    readonly journal: Journal | null,
    private readonly url: string,
    private readonly key: string,
    private readonly directory: FileSystemDirectoryHandle,
    private readonly release: Release,
    private readonly data: Reading,
    private writing: Writing | null,
    readonly checksum: Checksum,
  ) {
    this.checksums = journal?.checksums ?? [];
    this.end = journal?.length ?? 0;
    this.unfinished = !journal?.complete;
  }

  /**
   * The complete entry of this URL, for reading beside other readers; null where there is none, or another SHA-256 is wanted.
   * `unproven`: one whose SHA-256 was never computed will do.
   */
  static async openComplete(url: string, sha256: string | undefined, unproven = false): Promise<Entry | null> {
    const usable = (journal: Journal | null): boolean => vouches(journal, sha256) || (unproven && mayBe(journal, sha256));
    const key = await keyOf(url);
    const directory = await existing();
    if (!directory || !usable(await journalOf(directory, key))) {
      return null;
    }
    const release = await hold(key, "shared");
    if (!release) {
      return null;
    }
    try {
      const journal = await journalOf(directory, key);
      if (usable(journal)) {
        const data = await openReading(directory, dataName(key));
        await touch(directory, key);
        return new Entry(journal, url, key, directory, release, data, null, await checksum());
      }
    } catch {
      // Deleted meanwhile, or not to be read: as good as not there.
    }
    await release();
    return null;
  }

  /** The entry of this URL for writing, made where it is missing; null where another tab has it. Throws where nothing can be stored. */
  static async openForWriting(url: string, sha256: string | undefined): Promise<Entry | null> {
    const key = await keyOf(url);
    const directory = await folder(true);
    const release = await hold(key, "exclusive", LEAVING_MS);
    if (!release) {
      return null;
    }
    const handles: SyncHandle[] = [];
    try {
      const data = await openWriting(directory, dataName(key));
      handles.push(data);
      const lines = await openWriting(directory, journalName(key));
      handles.push(lines);
      const bytes = new Uint8Array(lines.getSize());
      lines.read(bytes, { at: 0 });
      let journal = parseJournal(bytes);
      if (journal?.complete && !mayBe(journal, sha256)) {
        journal = null;
      }
      return new Entry(journal, url, key, directory, release, readingOf(data), { data, journal: lines }, await checksum());
    } catch (error) {
      handles.forEach((handle) => handle.close());
      await release();
      throw error;
    }
  }

  /** Whether the checked pieces of this entry are a file of this SHA-256. */
  proves(sha256: string | undefined): boolean {
    return vouches(this.journal, sha256);
  }

  /** The file that others may read as well; null while this one may write. */
  get shared(): string | null {
    return this.writing ? null : dataName(this.key);
  }

  get writable(): boolean {
    return this.writing !== null;
  }

  /** A piece, checked against the journal; null where it is missing or damaged. `into`: memory for it, which may be used. */
  async read(index: number, length: number, into?: Bytes): Promise<Bytes | null> {
    const wanted = this.checksums[index];
    if (wanted === undefined) {
      return null;
    }
    // What cannot be read, because the site's data is being cleared for example, is as good as missing.
    const bytes = await this.data.read(index * PIECE, length, into).catch(() => new Uint8Array());
    return bytes.length === length && this.checksum(bytes) === wanted ? bytes : null;
  }

  /** Makes the data file as long as the whole file will be. Throws QuotaExceededError where there is no space for it. */
  reserve(size: number): void {
    const { data } = this.forWriting();
    if (data.getSize() < size) {
      data.truncate(size);
    }
  }

  /** Empties the entry for another version of the file. */
  restart(identity: Identity): void {
    const { data, journal } = this.forWriting();
    journal.truncate(0);
    journal.flush();
    data.truncate(0);
    this.reserve(identity.size ?? 0);
    this.checksums = [];
    this.pending = null;
    this.end = 0;
    this.unfinished = true;
    this.append(firstLine(this.url, identity));
  }

  /** Writes a piece; its checksum waits for `commit`. Throws QuotaExceededError where there is no space. */
  write(index: number, bytes: Bytes, sum: string): void {
    const { data } = this.forWriting();
    if (data.write(bytes, { at: index * PIECE }) !== bytes.length) {
      throw new DOMException("the file could not grow", "QuotaExceededError");
    }
    this.checksums[index] = sum;
    if (this.pending && this.pending.at + this.pending.checksums.length !== index) {
      this.commit();
    }
    this.pending ??= { at: index, checksums: [] };
    this.pending.checksums.push(sum);
  }

  /** Flushes the data, then says in the journal that it is there. */
  commit(): void {
    if (this.pending) {
      this.forWriting().data.flush();
      this.append(checksumsLine(this.pending.at, this.pending.checksums));
      this.pending = null;
    }
  }

  /** Says so in the journal, unless it says as much already. */
  complete(size: number, sha256: string | null): void {
    this.commit();
    if (this.unfinished || (sha256 !== null && sha256 !== this.journal?.sha256)) {
      this.append(completeLine(size, sha256));
      this.unfinished = false;
    }
  }

  private append(line: string): void {
    const { journal } = this.forWriting();
    const bytes = new TextEncoder().encode(line);
    if (journal.write(bytes, { at: this.end }) !== bytes.length) {
      throw new DOMException("the journal could not grow", "QuotaExceededError");
    }
    this.end += bytes.length;
    journal.truncate(this.end);
    journal.flush();
  }

  private forWriting(): Writing {
    if (!this.writing) {
      throw new Error("the entry is open for reading only");
    }
    return this.writing;
  }

  /** Keeps what is verified, then lets others in. Safe to call twice. */
  async close(): Promise<void> {
    if (!this.open) {
      return;
    }
    this.open = false;
    try {
      this.commit();
      this.giveBack();
    } finally {
      this.data.close();
      this.writing?.journal.close();
      await this.release();
    }
  }

  /** What was reserved for pieces that did not come. */
  private giveBack(): void {
    const used = this.checksums.length * PIECE;
    if (this.writing && this.unfinished && this.writing.data.getSize() > used) {
      this.writing.data.truncate(used);
    }
  }

  /** Keeps what is there for reading and takes no more. */
  stopWriting(): void {
    this.commit();
    this.writing?.journal.close();
    this.writing = null;
  }

  /** Deletes the entry; only for the one who may write it. */
  async remove(): Promise<void> {
    if (!this.open) {
      return;
    }
    this.open = false;
    this.data.close();
    this.writing?.journal.close();
    try {
      await removeFile(this.directory, journalName(this.key));
      await removeFile(this.directory, dataName(this.key));
    } finally {
      await this.release();
    }
  }
}

async function existing(): Promise<FileSystemDirectoryHandle | null> {
  try {
    return await folder(false);
  } catch {
    return null;
  }
}

async function journalOf(directory: FileSystemDirectoryHandle, key: string): Promise<Journal | null> {
  const file = await readSmall(directory, journalName(key));
  return file && parseJournal(file.bytes);
}

/** Complete, and of this SHA-256 where one is wanted. */
function vouches(journal: Journal | null, sha256: string | undefined): boolean {
  return journal !== null && journal.complete && (sha256 === undefined || sha256.toLowerCase() === journal.sha256);
}

/** Complete, and not known to be of another SHA-256. */
function mayBe(journal: Journal | null, sha256: string | undefined): boolean {
  return vouches(journal, sha256) || (journal !== null && journal.complete && journal.sha256 === null);
}

/** Sets the journal's time of change, which is the time of last use, by writing its first byte once more. */
async function touch(directory: FileSystemDirectoryHandle, key: string): Promise<void> {
  try {
    const journal = await openWriting(directory, journalName(key));
    journal.write(new TextEncoder().encode("{"), { at: 0 });
    journal.close();
  } catch {
    // Another reader does the same just now.
  }
}
