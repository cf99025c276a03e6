/** What the tests of the page as it ships share. */
import type { Page } from "@playwright/test";

/** What `wasm-chord run --temperature 0 -n 12` answers to QUESTION with the same file. */
export const QUESTION = "What is the capital of France?";
export const NATIVE = "L'Étoile, la Marseillaise,";

export const LOADING = { timeout: 120_000 };

/** Greedy answers of a few tokens. */
export async function short(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Settings and readings" }).click();
  const panel = page.getByRole("complementary", { name: "Settings and readings" });
  await panel.getByLabel("Temperature").fill("0");
  await panel.getByLabel("Longest answer").fill("12");
  await panel.getByLabel("Longest answer").blur();
}
