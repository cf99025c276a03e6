import { ask, expect, test } from "./harness.ts";

test("after one visit the page opens and answers without a network", async ({ chat, context }) => {
  await chat.getByRole("button", { name: /SmolLM2 135M/ }).click();
  await chat.getByRole("button", { name: /^Download/ }).click();
  await ask(chat, "hello");
  await chat.evaluate(async () => {
    await navigator.serviceWorker.ready;
  });
  const kept = await chat.evaluate(async () => {
    const names = (await caches.keys()).filter((name) => name.startsWith("wasm-chord-page-"));
    const requests = names[0] === undefined ? [] : await (await caches.open(names[0])).keys();
    return requests.map(({ url }) => new URL(url).pathname);
  });
  expect(kept).toContain("/index.html");
  expect(kept).toContain("/theme.js");
  await context.setOffline(true);
  await chat.reload();
  await expect(await ask(chat, "offline")).toContainText("You said: offline. Messages: 3");
  // By its folder, too.
  await chat.goto(new URL(".", chat.url()).href);
  await expect(chat.getByText("You said: offline")).toBeVisible();
});

test("a newer version waits until it is asked for", async ({ chat, site }) => {
  await chat.evaluate(async () => {
    await navigator.serviceWorker.ready;
  });
  const script = await (await fetch(`${site.url}/sw.js`)).text();
  const type = "text/javascript";
  site.serve("/sw.js", { body: script.replace(/[0-9a-f]{16}/, "0123456789abcdef"), type });
  await chat.reload();
  await expect(chat.getByText("A newer version of this page is ready.")).toBeVisible();
  const versions = () => chat.evaluate(async () => (await caches.keys()).filter((name) => name.startsWith("wasm-chord-page-")));
  expect((await versions()).length).toBe(2);
  await chat.getByRole("button", { name: "Use it" }).click();
  await expect(chat.getByText("A newer version of this page is ready.")).toBeHidden();
  await expect.poll(versions).toEqual(["wasm-chord-page-0123456789abcdef"]);
  site.serve("/sw.js", { body: script, type });
});
