import { answers, ask, drop, expect, finished, input, test, withModel } from "./harness.ts";

test("by keyboard alone: skip link, model, lines, sending, stopping, editing, panel", async ({ chat }) => {
  await chat.keyboard.press("Tab");
  await expect(chat.getByRole("link", { name: "Skip to the message field" })).toBeFocused();
  await expect(chat.getByRole("link", { name: "Skip to the message field" })).toBeInViewport();
  // Focus follows the page: list, header, then the first suggestion.
  const order: string[] = [];
  for (let step = 0; step < 6; step += 1) {
    await chat.keyboard.press("Tab");
    order.push(await chat.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent?.trim() ?? ""));
  }
  expect(order.map((name) => name.slice(0, 12))).toEqual(["New chat", "", "No model", "Settings and", "SmolLM2 135M", "Gemma 3 270M"]);
  await chat.keyboard.press("Shift+Tab");
  await chat.keyboard.press("Enter");
  await expect(chat.getByRole("button", { name: /^Download/ })).toBeFocused();
  await chat.keyboard.press("Enter");
  await expect(chat.getByRole("heading", { name: "Ask something" })).toBeVisible();

  await input(chat).focus();
  await chat.keyboard.type("line one");
  await chat.keyboard.press("Shift+Enter");
  await chat.keyboard.type("line two");
  await expect(input(chat)).toHaveValue("line one\nline two");
  await chat.keyboard.press("Enter");
  await expect(answers(chat)).toContainText("line one");
  await finished(chat);
  await expect(input(chat)).toBeFocused();

  await chat.keyboard.type("forever");
  await chat.keyboard.press("Enter");
  await expect(answers(chat).nth(1)).toContainText("on and on");
  await chat.keyboard.press("Escape");
  await expect(answers(chat).nth(1)).toContainText("Stopped.");
  await expect(input(chat)).toBeFocused();

  const edit = chat.getByRole("button", { name: "Edit the message" }).last();
  await edit.focus();
  await chat.keyboard.press("Enter");
  await expect(chat.getByRole("textbox", { name: "Edit the message" })).toBeFocused();
  await chat.keyboard.press("Escape");
  await expect(edit).toBeFocused();

  const toggle = chat.getByRole("button", { name: "Settings and readings", exact: true });
  await toggle.focus();
  await chat.keyboard.press("Enter");
  await expect(toggle).toHaveAttribute("aria-expanded", "true");
  await chat.keyboard.press("Escape");
  await expect(toggle).toHaveAttribute("aria-expanded", "false");
  await expect(toggle).toBeFocused();
});

test("a screen reader hears that it answers, the answer, and that a stop was taken", async ({ chat }) => {
  const status = chat.getByRole("status");
  await withModel(chat);
  await expect(status).toHaveText("tiny is ready.");
  await input(chat).fill("hello");
  await input(chat).press("Enter");
  await expect(status).toHaveText(/^Answer: You said: hello/);
  await input(chat).fill("forever");
  await input(chat).press("Enter");
  await expect(status).toHaveText("Answering.");
  await chat.keyboard.press("Escape");
  await expect(status).toHaveText("Stopped.");
  // The growing text itself stays silent: a word at a time is noise.
  await expect(chat.getByRole("log")).toHaveAttribute("aria-live", "off");
});

test("every control has a name, every id is there once, landmarks and headings are in order", async ({ chat }) => {
  const check = async () => {
    const faults = await chat.evaluate(() => {
      const found: string[] = [];
      const named = (element: HTMLElement) =>
        element.getAttribute("aria-label") ??
        (element as HTMLInputElement).labels?.[0]?.textContent ??
        (["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName) ? "" : element.textContent);
      for (const element of document.querySelectorAll<HTMLElement>("button, a[href], input, textarea, select, [role=progressbar], meter, dialog, nav, aside")) {
        const label = element.getAttribute("aria-labelledby");
        const text = label === null ? named(element) : document.getElementById(label)?.textContent;
        if ((text ?? "").trim() === "") {
          found.push(`no name: ${element.outerHTML.slice(0, 120)}`);
        }
      }
      const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
      found.push(...ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `id twice: ${id}`));
      for (const element of document.querySelectorAll("[aria-controls], [aria-describedby], [aria-labelledby]")) {
        for (const name of ["aria-controls", "aria-describedby", "aria-labelledby"]) {
          const target = element.getAttribute(name);
          if (target !== null && document.getElementById(target) === null) {
            found.push(`${name} points nowhere: ${target}`);
          }
        }
      }
      for (const image of document.querySelectorAll("img:not([alt])")) {
        found.push(`no alt: ${image.outerHTML}`);
      }
      if (document.querySelectorAll("main").length !== 1 || document.documentElement.lang === "") {
        found.push("no single main, or no language");
      }
      return found;
    });
    expect(faults).toEqual([]);
  };
  await check();
  await chat.getByRole("button", { name: /SmolLM2 135M/ }).click();
  await expect(chat.getByText("It fits")).toBeVisible();
  await check();
  await chat.getByRole("button", { name: /^Download/ }).click();
  await expect(chat.getByRole("heading", { name: "Ask something" })).toBeVisible();
  await input(chat).fill("rainbow");
  await input(chat).press("Enter");
  await finished(chat);
  await chat.getByRole("button", { name: "Settings and readings" }).click();
  await check();
  await chat.getByRole("button", { name: "SmolLM2 135M Instruct", exact: true }).click();
  await expect(chat.getByRole("dialog")).toBeVisible();
  await check();
  await chat.keyboard.press("Escape");
  await expect(chat.getByRole("dialog")).toBeHidden();
});

for (const theme of ["light", "dark"] as const) {
  test(`text stands out from its ground, ${theme}`, async ({ chat }) => {
    await chat.emulateMedia({ colorScheme: theme });
    await withModel(chat);
    await input(chat).fill("rainbow");
    await input(chat).press("Enter");
    await finished(chat);
    const faults = await chat.evaluate(() => {
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const rgba = (colour: string) => {
        canvas!.clearRect(0, 0, 1, 1);
        canvas!.fillStyle = colour;
        canvas!.fillRect(0, 0, 1, 1);
        return [...canvas!.getImageData(0, 0, 1, 1).data] as [number, number, number, number];
      };
      const luminance = (colour: number[]) => {
        const [r = 0, g = 0, b = 0] = colour.slice(0, 3).map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ground = (element: Element | null): number[] => {
        for (let at = element; at !== null; at = at.parentElement) {
          const colour = rgba(getComputedStyle(at).backgroundColor);
          if (colour[3] === 255) {
            return colour;
          }
        }
        return [255, 255, 255];
      };
      const found: string[] = [];
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        if (element === null || walk.currentNode.textContent?.trim() === "" || !element.checkVisibility({ opacityProperty: true }) || element.closest(".unseen, .skip, :disabled, noscript")) {
          continue;
        }
        const [a, b] = [luminance(rgba(getComputedStyle(element).color)), luminance(ground(element))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) {
          found.push(`${contrast.toFixed(2)}: ${walk.currentNode.textContent}`);
        }
      }
      return found;
    });
    expect(faults).toEqual([]);
  });
}

test("without WebGPU: the model runs on the processor, and the page says so and why", async ({ chat, site }) => {
  const page = await chat.context().newPage();
  await page.addInitScript(() => Object.defineProperty(Navigator.prototype, "gpu", { value: undefined }));
  await page.goto(`${site.url}/index.html`);
  await drop(page, "tiny.gguf");
  const notice = page.getByText("It runs on the processor, which is slower than a graphics processor: this browser has no WebGPU.");
  await expect(notice).toBeVisible();
  await expect(page.getByText("Chrome or Edge 113")).toBeHidden();
  await notice.click();
  await expect(page.getByText("Chrome or Edge 113")).toBeVisible();
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Ask something" })).toBeVisible();
  await expect(await ask(page, "hello")).toContainText("You said: hello");
  await page.getByRole("button", { name: "Settings and readings" }).click();
  const panel = page.getByRole("complementary", { name: "Settings and readings" });
  await expect(panel.getByText("the processor", { exact: true })).toBeVisible();
  await expect(panel.getByText("this browser has no WebGPU")).toBeVisible();

  await withModel(chat);
  await chat.getByRole("button", { name: "Settings and readings" }).click();
  await expect(chat.getByText("the graphics processor", { exact: true })).toBeVisible();
});
