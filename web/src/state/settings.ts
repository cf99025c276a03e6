/** Sampling and look, kept in this browser. */
import { signal } from "@preact/signals";
import type { SamplingParams } from "wasm-chord";
import { getValue, setValue } from "../store.js";

/** Null: as the model's file says. */
export interface Settings {
  temperature: number | null;
  topK: number | null;
  topP: number | null;
  minP: number | null;
  repeatPenalty: number | null;
  maxTokens: number | null;
  seed: number | null;
  /** System prompt that new conversations begin with. */
  system: string;
}

export type NumberSetting = Exclude<keyof Settings, "system">;

/** How a number is asked for: its range, and what it does in a few words. */
export interface NumberField {
  key: NumberSetting;
  label: string;
  min: number;
  max: number;
  step: number;
  hint: string;
}

export const FIELDS: NumberField[] = [
  { key: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05, hint: "0 is the same answer each time; higher is more varied." },
  { key: "topK", label: "Top-k", min: 0, max: 1000, step: 1, hint: "Choose among this many likeliest tokens; 0 is all." },
  { key: "topP", label: "Top-p", min: 0, max: 1, step: 0.01, hint: "Choose among tokens that make up this share." },
  { key: "minP", label: "Min-p", min: 0, max: 1, step: 0.01, hint: "Drop tokens below this share of the likeliest." },
  { key: "repeatPenalty", label: "Repeat penalty", min: 0.5, max: 2, step: 0.05, hint: "Above 1 avoids repetition." },
  { key: "maxTokens", label: "Longest answer", min: 1, max: 32_768, step: 1, hint: "In tokens; empty is up to the context's end." },
  { key: "seed", label: "Seed", min: 0, max: 4_294_967_295, step: 1, hint: "The same seed and settings give the same answer." },
];

const DEFAULTS: Settings = {
  temperature: null,
  topK: null,
  topP: null,
  minP: null,
  repeatPenalty: null,
  maxTokens: null,
  seed: null,
  system: "",
};

export const settings = signal<Settings>(DEFAULTS);

export async function restoreSettings(): Promise<void> {
  settings.value = { ...DEFAULTS, ...(await getValue<Partial<Settings>>("settings")) };
}

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.peek(), ...part };
  void setValue("settings", settings.peek());
}

export function resetSampling(): void {
  change({ ...DEFAULTS, system: settings.peek().system });
}

/** The settings that were made, as a request wants them. */
export function samplingOf(from: Settings): SamplingParams {
  return {
    temperature: from.temperature,
    top_k: from.topK,
    top_p: from.topP,
    min_p: from.minP,
    repetition_penalty: from.repeatPenalty,
    max_tokens: from.maxTokens,
    seed: from.seed,
  };
}

export type Theme = "system" | "light" | "dark";

function storedTheme(): Theme {
  try {
    const stored = localStorage.getItem("theme");
    return stored === "light" || stored === "dark" ? stored : "system";
  } catch {
    return "system";
  }
}

export const theme = signal<Theme>(storedTheme());

/** `public/theme.js` applies it: that script also runs before the first paint. */
export function setTheme(chosen: Theme): void {
  theme.value = chosen;
  try {
    if (chosen === "system") {
      localStorage.removeItem("theme");
    } else {
      localStorage.setItem("theme", chosen);
    }
  } catch {
    document.documentElement.dataset["theme"] = chosen;
    return;
  }
  dispatchEvent(new Event("themechange"));
}
