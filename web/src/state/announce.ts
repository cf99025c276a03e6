import { signal } from "@preact/signals";

/** What a screen reader is told next, politely. */
export const announcement = signal("");

/** A space at the end makes a repeated sentence a new one. */
export function announce(text: string): void {
  announcement.value = announcement.peek() === text ? `${text} ` : text;
}
