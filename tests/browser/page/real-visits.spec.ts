/** The page as it ships, on the package's build and the default model: SwiftShader makes a few tokens a second. */
import { basename } from "node:path";
import { answers, ask, expect, input, MODEL, test } from "./harness.ts";
import { LOADING, NATIVE, QUESTION, short } from "./real.ts";

test("by address: a second visit takes no byte of the model from the network, none at all when offline, and has threads", async ({ page, shipped, context }) => {
  const name = `/models/${basename(MODEL)}`;
  await page.goto(`${shipped.url}/index.html`);
  // Its server sends no headers for that.
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
  await page.getByLabel("Address of a GGUF file").fill(`${shipped.url}${name}`);
  await page.getByLabel("Address of a GGUF file").press("Enter");
  await page.getByRole("button", { name: /^Download/ }).click(LOADING);
  await expect(page.getByRole("heading", { name: "Ask something" })).toBeVisible(LOADING);
  await short(page);
  await expect(await ask(page, QUESTION)).toContainText(NATIVE);
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
  });
  shipped.reset();
  await context.setOffline(true);
  await page.reload();
  await input(page).fill("And of Italy?");
  await expect(page.getByRole("button", { name: "Send" })).toBeEnabled(LOADING);
  await ask(page, "And of Italy?");
  await expect(answers(page)).toHaveCount(2);
  expect(shipped.requests(name)).toEqual([]);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  const threads = await page.evaluate(() => Math.min(navigator.hardwareConcurrency, 8));
  await page.getByRole("button", { name: "Settings" }).click();
  await expect(page.getByText(`CPU, ${threads} threads`)).toBeVisible();
});
