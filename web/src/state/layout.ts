/** What of the page is open. */
import { signal } from "@preact/signals";

/** The list of conversations, where it is no fixed column. */
export const drawer = signal(false);
/** Settings and readings. */
export const panel = signal(false);
/** Choosing another model while one is loaded. */
export const choosing = signal(false);

/** A newer page that waits to take over. */
export const waiting = signal<ServiceWorker | null>(null);
