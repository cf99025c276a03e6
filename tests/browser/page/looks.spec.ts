import { ask, drop, expect, input, OUTPUT, test, withModel } from "./harness.ts";
import type { Page } from "@playwright/test";

async function shoot(page: Page, name: string): Promise<void> {
  // Colours may be on their way.
  await page.waitForTimeout(300);
  await page.screenshot({ path: `${OUTPUT}/${name}.png` });
}

/** Nothing is wider than the window. */
async function fitsWidth(page: Page): Promise<void> {
  const wide = await page.evaluate(() =>
    [...document.querySelectorAll("body *")]
      .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen, .skip, pre, table"))
      .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
      .map((element) => element.outerHTML.slice(0, 100)),
  );
  expect(wide).toEqual([]);
}

const WINDOWS = [
  { name: "light", width: 1280, height: 800, scheme: "light" },
  { name: "dark", width: 1280, height: 800, scheme: "dark" },
  { name: "phone", width: 360, height: 740, scheme: "light" },
] as const;

for (const { name, width, height, scheme } of WINDOWS) {
  test(`every screen, ${name}`, async ({ chat }) => {
    await chat.setViewportSize({ width, height });
    await chat.emulateMedia({ colorScheme: scheme });
    await shoot(chat, `${name}-1-start`);
    await fitsWidth(chat);
    await chat.getByRole("button", { name: /Llama 3.2 1B/ }).click();
    await expect(chat.getByText("It fits")).toBeVisible();
    await shoot(chat, `${name}-2-plan`);
    await fitsWidth(chat);
    await chat.getByRole("button", { name: "Choose another model" }).click();
    await chat.getByLabel("Address of a GGUF file").fill("https://models.example/slow.gguf");
    await chat.getByLabel("Address of a GGUF file").press("Enter");
    await chat.getByRole("button", { name: /^Download/ }).click();
    await expect(chat.getByText(/ s left/)).toBeVisible();
    await shoot(chat, `${name}-3-loading`);
    await fitsWidth(chat);
    await chat.getByRole("button", { name: "Cancel" }).click();
    await withModel(chat);
    await shoot(chat, `${name}-4-ready`);
    await ask(chat, "How do rainbows form, and how would I compute their angle?");
    await shoot(chat, `${name}-5-answer`);
    await fitsWidth(chat);
    await chat.getByRole("button", { name: "Settings and readings" }).click();
    await shoot(chat, `${name}-6-panel`);
    await fitsWidth(chat);
    await chat.keyboard.press("Escape");
    await input(chat).fill("overflow");
    await input(chat).press("Enter");
    await expect(chat.getByText("The conversation is too long")).toBeVisible();
    await shoot(chat, `${name}-7-problem`);
    await drop(chat, "toolarge.gguf");
    await expect(chat.getByRole("dialog")).toBeVisible();
    await shoot(chat, `${name}-8-dialog`);
    await fitsWidth(chat);
    await chat.keyboard.press("Escape");
    if (name === "phone") {
      await chat.getByRole("button", { name: "Conversations" }).click();
      await expect(chat.getByRole("button", { name: "New chat", exact: true })).toBeFocused();
      await shoot(chat, `${name}-9-drawer`);
      await chat.keyboard.press("Escape");
      await expect(chat.getByRole("button", { name: "New chat", exact: true })).toBeHidden();
    }
  });
}

test("the switch of colours outlives a reload, from the first paint on", async ({ chat }) => {
  await chat.emulateMedia({ colorScheme: "light" });
  const ground = () => chat.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await chat.getByRole("radio", { name: "Dark" }).check();
  const dark = await ground();
  expect(dark).not.toBe(light);
  await chat.reload();
  expect(await ground()).toBe(dark);
  await chat.getByRole("radio", { name: "As the system" }).check();
  expect(await ground()).toBe(light);
});
