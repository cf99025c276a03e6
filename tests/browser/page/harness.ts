/** The page, built and served: with the fake in the package's place, or as it ships. Each test is a new visitor. */
import { mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test as base, type Locator, type Page } from "@playwright/test";
import { build } from "vite";
import { startServer, type TestServer } from "../server/index.ts";

export { expect };

const here = fileURLToPath(new URL(".", import.meta.url));
const web = join(here, "../../../web");
/** Screenshots are kept as test output. */
export const OUTPUT = join(here, "../output/page");

/** Builds the page into a folder of its own, serves it as long as `use` runs. `alias`: what stands in for a module. */
async function serveBuilt(alias: Record<string, string>, roots: Record<string, string>, use: (server: TestServer) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "wasm-chord-page-"));
  await build({
    root: web,
    configFile: join(web, "vite.config.ts"),
    logLevel: "error",
    resolve: { alias },
    build: { outDir: folder, emptyOutDir: true },
  });
  const server = await startServer({ roots: { "/": folder, ...roots } });
  await use(server);
  await server.close();
  rmSync(folder, { recursive: true });
}

/** The default model, where `just setup` keeps it. */
export const MODEL = process.env["WASM_CHORD_SMOLLM2"] ?? join(homedir(), ".cache/wasm-chord/models/SmolLM2-135M-Instruct.Q4_1.gguf");

export const test = base.extend<{ chat: Page; problems: string[] }, { site: TestServer; shipped: TestServer }>({
  site: [async ({}, use) => serveBuilt({ "wasm-chord": join(here, "fake/chord.ts") }, {}, use), { scope: "worker" }],
  /** The page as it ships, on the package's build, with the default model under /models/. */
  shipped: [async ({}, use) => serveBuilt({}, { "/models/": dirname(MODEL) }, use), { scope: "worker" }],
  /** Uncaught errors and console errors of the page: none are expected. */
  problems: async ({}, use) => {
    const problems: string[] = [];
    await use(problems);
    expect(problems).toEqual([]);
  },
  chat: async ({ page, site, problems }, use) => {
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") {
        problems.push(message.text());
      }
    });
    page.setDefaultTimeout(15_000);
    await page.goto(`${site.url}/index.html`);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await use(page);
  },
});

/** Drops a file of this name on the page, as a person does: once it can be seen. */
export async function drop(page: Page, name: string): Promise<void> {
  await page.locator(".app").waitFor();
  const data = await page.evaluateHandle((file) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["GGUF"], file));
    return transfer;
  }, name);
  await page.dispatchEvent("body", "dragover", { dataTransfer: data });
  await page.dispatchEvent("body", "drop", { dataTransfer: data });
}

export function input(page: Page): Locator {
  return page.getByRole("textbox", { name: "Message", exact: true });
}

export function answers(page: Page): Locator {
  return page.getByRole("listitem", { name: "Answer" });
}

/** A model by file, ready to answer. */
export async function withModel(page: Page, name = "tiny.gguf"): Promise<void> {
  await drop(page, name);
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Ask something" })).toBeVisible();
}

/** Asks and waits for the whole answer. */
export async function ask(page: Page, question: string): Promise<Locator> {
  await input(page).fill(question);
  await expect(page.getByRole("button", { name: "Send" })).toBeEnabled();
  // Only now: a page that was just opened may not have drawn its conversation before.
  const before = await answers(page).count();
  await input(page).press("Enter");
  await expect(answers(page)).toHaveCount(before + 1);
  await finished(page);
  return answers(page).nth(before);
}

export async function finished(page: Page): Promise<void> {
  await expect(page.getByRole("button", { name: "Send" })).toBeVisible();
}
