import { answers, ask, drop, expect, input, test, withModel } from "./harness.ts";

const address = "Address of a GGUF file";

test("the verdict comes before any download: what it takes, with how much context", async ({ chat }) => {
  await chat.getByRole("button", { name: /SmolLM2 135M/ }).click();
  const card = chat.getByRole("region", { name: "SmolLM2 135M Instruct" });
  await expect(card.getByText("It fits on this device.")).toBeVisible();
  await expect(card.getByText("30 layers")).toBeVisible();
  const memory = card.locator(".sum dd");
  await expect(memory).toHaveText("204 MB");
  await card.getByLabel("Context").selectOption("8192");
  await expect(memory).toHaveText("299 MB");
  await expect(card.getByRole("button", { name: "Download 98.0 MB and load" })).toBeFocused();
  await card.getByRole("button", { name: "Choose another model" }).click();
  await expect(chat.getByRole("heading", { name: "Suggestions" })).toBeVisible();
});

test("one bar per stage, with speed and time left; cancelled, what arrived is kept", async ({ chat }) => {
  await chat.getByLabel(address).fill("https://models.example/slow.gguf");
  await chat.getByLabel(address).press("Enter");
  await chat.getByRole("button", { name: /^Download/ }).click();
  const loading = chat.getByRole("region", { name: "Loading slow" });
  await expect(loading.getByRole("progressbar")).toHaveCount(3);
  await expect(loading.getByText(/^\d.* MB of 98.0 MB · 9.80 MB\/s · \d+ s left$/)).toBeVisible();
  await expect(loading.getByRole("progressbar", { name: "Compile kernels" })).toHaveAttribute("aria-valuenow", /\d+/);
  await loading.getByRole("button", { name: "Cancel" }).click();
  const kept = chat.getByRole("button", { name: /^slow/ });
  await expect(kept).toContainText("incomplete");
  await chat.getByRole("button", { name: "Delete slow from this browser" }).click();
  await expect(kept).toHaveCount(0);
});

test("what is no address is said so; a site's page of a file is understood", async ({ chat }) => {
  await chat.getByLabel(address).fill("my model");
  await chat.getByRole("button", { name: "Check" }).click();
  await expect(chat.getByText("This is not an address")).toBeVisible();
  await expect(chat.getByLabel(address)).toHaveAttribute("aria-invalid", "true");
  await chat.getByLabel(address).fill("https://huggingface.co/a/b/blob/main/c.gguf");
  await chat.getByRole("button", { name: "Check" }).click();
  await chat.getByRole("button", { name: /^Download/ }).click();
  await ask(chat, "hello");
  expect(await chat.evaluate(() => localStorage.getItem("fake-cache"))).toContain("https://huggingface.co/a/b/resolve/main/c.gguf");
});

test("errors are in words, and their first button helps", async ({ chat }) => {
  await chat.getByLabel(address).fill("https://models.example/missing.gguf");
  await chat.getByLabel(address).press("Enter");
  const alert = chat.getByRole("alert").filter({ has: chat.getByRole("button") });
  await expect(alert).toContainText("The server did not hand out the model");
  await expect(alert).toContainText("404 Not Found");
  await expect(alert).toContainText("E_HTTP");
  await alert.getByRole("button", { name: "Try again" }).click();
  await expect(chat.getByText("It fits on this device.")).toBeVisible();
  await chat.getByRole("button", { name: "Choose another model" }).click();

  await drop(chat, "toolarge.gguf");
  await expect(chat.getByText("It does not run on this device.")).toBeVisible();
  await expect(chat.getByText("this GPU gives 2.1 GB")).toBeVisible();
  await expect(chat.getByRole("button", { name: "Load", exact: true })).toHaveCount(0);

  await drop(chat, "notes.txt");
  await expect(alert).toContainText("This is not a GGUF model");
  await alert.getByRole("button", { name: "Choose another model" }).click();

  await drop(chat, "nospace.gguf");
  await chat.getByRole("button", { name: "Load", exact: true }).click();
  for (const size of ["2048", "1024"]) {
    await expect(alert).toContainText("There is not enough memory");
    await alert.getByRole("button", { name: "Use a smaller context" }).click();
    await expect(chat.getByRole("combobox", { name: "Context" })).toHaveValue(size);
    await chat.getByRole("button", { name: "Load", exact: true }).click();
  }
  await expect(chat.getByRole("heading", { name: "Ask something" })).toBeVisible();
});

test("a damaged stored copy is dropped and fetched anew", async ({ chat }) => {
  await chat.getByLabel(address).fill("https://models.example/damaged.gguf");
  await chat.getByLabel(address).press("Enter");
  await chat.getByRole("button", { name: /^Download/ }).click();
  await expect(chat.getByText("The file is damaged")).toBeVisible();
  await chat.getByRole("button", { name: "Clear the stored copy" }).click();
  await expect(chat.getByRole("heading", { name: "Ask something" })).toBeVisible();
});

test("while chatting: a lost GPU is loaded again, a full context begins a new chat", async ({ chat }) => {
  await withModel(chat);
  await input(chat).fill("lost");
  await input(chat).press("Enter");
  await expect(chat.getByText("The GPU stopped answering")).toBeVisible();
  await expect(answers(chat)).toContainText("You said: lost");
  await chat.getByRole("button", { name: "Load the model again" }).click();
  await expect(chat.getByText("The GPU stopped answering")).toBeHidden();
  await ask(chat, "better now");
  await chat.getByRole("button", { name: "Answer again" }).last().click();
  await expect(answers(chat)).toHaveCount(2);

  await input(chat).fill("overflow");
  await expect(chat.getByRole("button", { name: "Send" })).toBeEnabled();
  await input(chat).press("Enter");
  await expect(chat.getByText("The conversation is too long for the context")).toBeVisible();
  // The question stays, to be edited or asked again.
  await expect(chat.getByRole("button", { name: "Answer", exact: true })).toBeVisible();
  await chat.getByRole("button", { name: "Use a larger context" }).click();
  await expect(chat.getByRole("combobox", { name: "Context" })).toHaveValue("8192");
  await chat.getByRole("dialog").getByRole("button", { name: "Load", exact: true }).click();
  await expect(chat.getByRole("meter", { name: "Context used" })).toHaveAttribute("max", "8192");
  await chat.getByRole("button", { name: "Answer", exact: true }).click();
  await chat.getByRole("button", { name: "Start a new chat" }).click();
  await expect(chat.getByRole("heading", { name: "Ask something" })).toBeVisible();
});

test("a model that is complete in the browser is loaded again after a reload; another takes its place", async ({ chat }) => {
  await chat.getByRole("button", { name: /SmolLM2 135M/ }).click();
  await chat.getByRole("button", { name: /^Download/ }).click();
  await ask(chat, "hello");
  await chat.reload();
  const again = await ask(chat, "still there");
  await expect(again).toContainText("You said: still there. Messages: 3");

  await chat.getByRole("button", { name: "SmolLM2 135M Instruct", exact: true }).click();
  const dialog = chat.getByRole("dialog", { name: "Model" });
  await expect(dialog).toContainText("SmolLM2 135M Instruct is loaded.");
  await dialog.getByRole("button", { name: /SmolLM2 360M/ }).click();
  await dialog.getByRole("button", { name: /^Download/ }).click();
  await expect(dialog).toBeHidden();
  await expect(chat.getByRole("button", { name: "SmolLM2 360M Instruct", exact: true })).toBeVisible();
  await ask(chat, "hello you");

  await chat.getByRole("button", { name: "Settings and readings" }).click();
  await chat.getByRole("button", { name: "Unload the model" }).click();
  await chat.getByRole("button", { name: "Load SmolLM2 360M Instruct" }).click();
  await ask(chat, "back");
});

test("a load that never ended is not begun by itself again", async ({ chat }) => {
  await chat.getByLabel(address).fill("https://models.example/slow.gguf");
  await chat.getByLabel(address).press("Enter");
  await chat.getByRole("button", { name: /^Download/ }).click();
  await ask(chat, "hello");
  await chat.reload();
  await expect(chat.getByRole("region", { name: "Loading slow" })).toBeVisible();
  // As after a crash in the middle of loading.
  await chat.reload();
  await expect(chat.getByRole("button", { name: "Load slow" })).toBeVisible();
  await chat.waitForTimeout(300);
  await expect(chat.getByRole("region", { name: "Loading slow" })).toHaveCount(0);
  await chat.getByRole("button", { name: "Load slow" }).click();
  await ask(chat, "again");
});

test("a file of the last visit is opened again with one click, where the browser gives a handle", async ({ chat }) => {
  // A file of the origin's own file system: its handle can be kept, and needs nobody's permission.
  await chat.addInitScript(() => {
    Object.assign(DataTransferItem.prototype, {
      getAsFileSystemHandle: async () => {
        const root = await navigator.storage.getDirectory();
        return root.getFileHandle("tiny.gguf", { create: true });
      },
    });
  });
  await chat.reload();
  await withModel(chat);
  await chat.reload();
  await expect(chat.getByText("Last time: tiny")).toBeVisible();
  await chat.getByRole("button", { name: "Load it again" }).click();
  await expect(await ask(chat, "hello")).toContainText("You said: hello");
});

test("a file without a handle has to be chosen again, and the page says so", async ({ chat }) => {
  await withModel(chat);
  await chat.reload();
  await expect(chat.getByText("please choose or drop it again")).toBeVisible();
  await chat.locator('input[type="file"]').setInputFiles({ name: "tiny.gguf", mimeType: "application/octet-stream", buffer: Buffer.from("GGUF") });
  await chat.getByRole("button", { name: "Load", exact: true }).click();
  await ask(chat, "hello");
});
