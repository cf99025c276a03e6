import { ask, expect, test, withModel } from "./harness.ts";

test("Markdown: headings, lists, tables, code with copy, safe links", async ({ chat, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await withModel(chat);
  const answer = await ask(chat, "rainbow");
  await expect(answer.getByRole("heading", { name: "Rainbows" })).toBeVisible();
  await expect(answer.getByRole("cell", { name: "violet" })).toBeVisible();
  await expect(answer.locator("strong")).toHaveText("twice");
  const link = answer.getByRole("link", { name: "the page" });
  await expect(link).toHaveAttribute("href", "https://example.org/rainbow");
  await expect(link).toHaveAttribute("rel", /noopener noreferrer/);

  await answer.getByRole("button", { name: "Copy the code" }).click();
  const copied = () => chat.evaluate(() => navigator.clipboard.readText());
  expect(await copied()).toBe('def angle(colour):\n\treturn {"red": 42, "violet": 40}[colour]');
  await answer.getByRole("button", { name: "Copy", exact: true }).first().click();
  expect((await copied()).trim()).toBe('echo "nested"');
  await answer.getByRole("button", { name: "Copy the answer" }).click();
  expect(await copied()).toContain("# Rainbows");
});

test("nothing that a model writes becomes script, image, frame or a javascript: link", async ({ chat }) => {
  const asked: string[] = [];
  chat.on("request", (request) => asked.push(request.url()));
  await withModel(chat);
  const answer = await ask(chat, "hostile");
  await expect(answer).toContainText("After.");
  const body = answer.locator(".markdown");
  for (const selector of ["script", "img", "iframe", "svg:not(.icon)", "style", "[onclick]", "[onerror]", "[onload]", "[onmouseover]", "[srcdoc]"]) {
    await expect(body.locator(selector), selector).toHaveCount(0);
  }
  const hrefs = await body.locator("a[href]").evaluateAll((links) => links.map((link) => (link as HTMLAnchorElement).protocol));
  expect(hrefs).toEqual(["https:"]);
  for (const name of ["click me", "entity"]) {
    await body.getByText(name, { exact: true }).click();
  }
  // Raw HTML is shown as what it is, but for plain formatting.
  await expect(body).toContainText('<img src="x" onerror=');
  await expect(body.locator("td br")).toHaveCount(1);
  expect(await chat.evaluate(() => (window as { pwned?: string }).pwned)).toBeUndefined();
  expect(asked.filter((url) => url.includes("example.org"))).toEqual([]);
});
