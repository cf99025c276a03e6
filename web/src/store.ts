/** What the page keeps in this browser: conversations, and single values by name. Without storage, for this visit only. */

export interface Reading {
  /** Milliseconds from the request to the first token. */
  ttftMs: number;
  tokensPerSecond: number;
  tokens: number;
  promptTokens: number;
  /** Tokens of the prompt that had to be computed; the others were in the cache. */
  prefilledTokens: number;
}

export interface Message {
  id: string;
  role: "user" | "assistant";
  text: string;
  /** What the model thought before its answer. */
  reasoning?: string;
  /** How an answer ended, where not by itself. */
  ended?: "stopped" | "length" | "failed";
  reading?: Reading;
}

export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  system: string;
  messages: Message[];
}

const NAME = "wasm-chord-page";
const VERSION = 1;

let opened: Promise<IDBDatabase | null> | null = null;

function open(): Promise<IDBDatabase | null> {
  opened ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open(NAME, VERSION);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("conversations", { keyPath: "id" });
        request.result.createObjectStore("values");
      };
      request.onsuccess = () => {
        const database = request.result;
        // Another tab with a newer page wants to change the schema.
        database.onversionchange = () => database.close();
        resolve(database);
      };
      request.onerror = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
  return opened;
}

type StoreName = "conversations" | "values";

/** One request in one transaction. Null when there is no storage or it refuses (quota, private mode). */
async function ask<T>(store: StoreName, mode: IDBTransactionMode, request: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | null> {
  const database = await open();
  if (database === null) {
    return null;
  }
  return new Promise((resolve) => {
    try {
      const transaction = database.transaction(store, mode);
      const asked = request(transaction.objectStore(store));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onabort = () => resolve(null);
      transaction.onerror = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
}

/** Whether anything can be kept at all. */
export async function storageWorks(): Promise<boolean> {
  return (await open()) !== null;
}

export async function loadConversations(): Promise<Conversation[]> {
  const all = (await ask("conversations", "readonly", (store) => store.getAll() as IDBRequest<Conversation[]>)) ?? [];
  return all.sort((a, b) => b.updated - a.updated);
}

export async function saveConversation(conversation: Conversation): Promise<void> {
  await ask("conversations", "readwrite", (store) => store.put(conversation));
}

export async function deleteConversation(id: string): Promise<void> {
  await ask("conversations", "readwrite", (store) => store.delete(id));
}

export async function getValue<T>(name: string): Promise<T | null> {
  return (await ask("values", "readonly", (store) => store.get(name) as IDBRequest<T | undefined>)) ?? null;
}

export async function setValue(name: string, value: unknown): Promise<void> {
  await ask("values", "readwrite", (store) => store.put(value, name));
}
