/** Conversations: the list, the open one, and their changes, each kept as it is made. */
import { computed, signal } from "@preact/signals";
import * as store from "../store.js";
import type { Conversation, Message } from "../store.js";
import { change, settings } from "./settings.js";

const TITLE_LENGTH = 60;

/** Newest first. */
export const conversations = signal<Conversation[]>([]);
/** Null: a new one that nothing has been said in. */
export const currentId = signal<string | null>(null);
export const current = computed(() => conversations.value.find(({ id }) => id === currentId.value) ?? null);
/** False where the browser keeps nothing: conversations last as long as the tab. */
export const kept = signal(true);

export async function restoreChats(): Promise<void> {
  kept.value = await store.storageWorks();
  conversations.value = await store.loadConversations();
  const open = await store.getValue<string>("current");
  currentId.value = conversations.value.some(({ id }) => id === open) ? open : null;
}

export function openChat(id: string | null): void {
  currentId.value = id;
  void store.setValue("current", id);
}

export function find(id: string): Conversation | null {
  return conversations.peek().find((conversation) => conversation.id === id) ?? null;
}

/** A conversation as `made` of what it was; it moves to the top of the list when something was said. */
export function update(id: string, make: (before: Conversation) => Partial<Conversation>): void {
  const before = find(id);
  if (before === null) {
    return;
  }
  const after = { ...before, ...make(before) };
  if (after.messages !== before.messages) {
    after.updated = Date.now();
  }
  conversations.value = conversations
    .peek()
    .map((conversation) => (conversation.id === id ? after : conversation))
    .sort((a, b) => b.updated - a.updated);
  void store.saveConversation(after);
}

export function updateMessage(id: string, messageId: string, part: Partial<Message>): void {
  update(id, ({ messages }) => ({
    messages: messages.map((message) => (message.id === messageId ? { ...message, ...part } : message)),
  }));
}

/** The open conversation, begun if there is none. */
export function ensureChat(firstText: string): string {
  const open = current.peek();
  if (open !== null) {
    return open.id;
  }
  const now = Date.now();
  const line = firstText.trim().replace(/\s+/g, " ");
  const title = line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH - 1).trimEnd()}…` : line;
  const begun: Conversation = {
    id: crypto.randomUUID(),
    title,
    created: now,
    updated: now,
    system: settings.peek().system,
    messages: [],
  };
  conversations.value = [begun, ...conversations.peek()];
  void store.saveConversation(begun);
  openChat(begun.id);
  return begun.id;
}

export function removeChat(id: string): void {
  conversations.value = conversations.peek().filter((conversation) => conversation.id !== id);
  void store.deleteConversation(id);
  if (currentId.peek() === id) {
    openChat(null);
  }
}

export function setTitle(id: string, title: string): void {
  const trimmed = title.trim();
  if (trimmed !== "") {
    update(id, () => ({ title: trimmed }));
  }
}

/** Of the open conversation, and of those begun after it. */
export function setSystem(system: string): void {
  change({ system });
  const open = current.peek();
  if (open !== null) {
    update(open.id, () => ({ system }));
  }
}
