/** The page as it ships, on the package's build and the default model: SwiftShader makes a few tokens a second. */
import { answers, ask, expect, finished, input, MODEL, OUTPUT, test } from "./harness.ts";
import { LOADING, NATIVE, QUESTION, short } from "./real.ts";

test("by file: choose, ask, stop, edit, regenerate, reload, ask again", async ({ page, shipped }) => {
  await page.goto(`${shipped.url}/index.html`);
  await page.locator('input[type="file"]').setInputFiles(MODEL);
  await expect(page.getByText("It fits on this device.")).toBeVisible(LOADING);
  await page.getByRole("combobox", { name: "Context" }).selectOption("512");
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Ask something" })).toBeVisible(LOADING);
  await short(page);
  await expect(await ask(page, QUESTION)).toContainText(NATIVE);
  await page.screenshot({ path: `${OUTPUT}/real-answer.png` });

  // What is in the KV cache is not computed again.
  await ask(page, "And of Italy?");
  const panel = page.getByRole("complementary", { name: "Settings and readings" });
  await expect(panel.getByText(/^\d+ computed, [1-9]\d* reused$/)).toBeVisible();

  await panel.getByLabel("Longest answer").fill("");
  await panel.getByLabel("Longest answer").blur();
  await input(page).fill("Write a long story.");
  await input(page).press("Enter");
  await expect(answers(page).nth(2).locator(".markdown")).toContainText(/\w/);
  await page.getByRole("button", { name: "Stop the answer" }).click();
  await finished(page);
  await expect(answers(page).nth(2)).toContainText("Stopped.");

  await panel.getByLabel("Longest answer").fill("12");
  await panel.getByLabel("Longest answer").blur();
  await page.getByRole("button", { name: "Edit the message" }).first().click();
  const editor = page.getByRole("textbox", { name: "Edit the message" });
  await editor.fill(QUESTION);
  await editor.press("Enter");
  await expect(answers(page)).toHaveCount(1);
  await finished(page);
  const text = await answers(page).locator(".markdown").textContent();
  await page.getByRole("button", { name: "Answer again" }).click();
  await expect(page.getByRole("button", { name: "Stop the answer" })).toBeVisible();
  await finished(page);
  expect(await answers(page).locator(".markdown").textContent()).toBe(text);

  await page.reload();
  await expect(answers(page)).toContainText(NATIVE);
  await page.getByRole("button", { name: "Choose a model" }).click();
  await page.locator('input[type="file"]').setInputFiles(MODEL);
  await page.getByRole("button", { name: "Load", exact: true }).click(LOADING);
  await expect(page.getByText("To go on, load a model.")).toBeHidden();
  await input(page).fill("Thanks!");
  await expect(page.getByRole("button", { name: "Send" })).toBeEnabled(LOADING);
  await ask(page, "Thanks!");
});
