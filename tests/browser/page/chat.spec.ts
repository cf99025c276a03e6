import { answers, ask, drop, expect, finished, input, test, withModel } from "./harness.ts";

test("drop a file, ask, stop, edit, regenerate, reload, ask again", async ({ chat }) => {
  await withModel(chat);
  const first = await ask(chat, "hello");
  await expect(first).toContainText("You said: hello. Messages: 1");
  await expect(first).toContainText("42.5 tok/s");
  await expect(first).toContainText("first after 120 ms");

  await input(chat).fill("forever");
  await input(chat).press("Enter");
  await expect(answers(chat).nth(1)).toContainText("on and on");
  await expect(answers(chat).nth(1)).toHaveAttribute("aria-busy", "true");
  await chat.getByRole("button", { name: "Stop the answer" }).click();
  await finished(chat);
  await expect(answers(chat).nth(1)).toContainText("Stopped.");
  const stopped = await answers(chat).nth(1).textContent();
  await chat.waitForTimeout(200);
  expect(await answers(chat).nth(1).textContent()).toBe(stopped);

  // What followed the edited message goes.
  await chat.getByRole("button", { name: "Edit the message" }).first().click();
  const editor = chat.getByRole("textbox", { name: "Edit the message" });
  await editor.fill("goodbye");
  await editor.press("Enter");
  await expect(answers(chat)).toHaveCount(1);
  await finished(chat);
  await expect(answers(chat)).toContainText("You said: goodbye. Messages: 1");
  await expect(chat.getByText("on and on")).toHaveCount(0);

  await ask(chat, "third");
  await chat.getByRole("button", { name: "Answer again" }).first().click();
  await finished(chat);
  await expect(answers(chat)).toHaveCount(1);
  await expect(answers(chat)).toContainText("You said: goodbye");

  await chat.reload();
  await expect(answers(chat)).toContainText("You said: goodbye");
  await expect(chat.getByText("To go on, load a model.")).toBeVisible();
  await drop(chat, "tiny.gguf");
  await chat.getByRole("button", { name: "Load", exact: true }).click();
  await expect(chat.getByText("To go on, load a model.")).toBeHidden();
  const again = await ask(chat, "and now");
  await expect(again).toContainText("You said: and now. Messages: 3");
});

test("reasoning stands apart, closed, and is kept with its answer", async ({ chat }) => {
  await withModel(chat);
  const answer = await ask(chat, "ponder");
  const reasoning = answer.locator("details.reasoning");
  await expect(reasoning).toHaveCount(1);
  await expect(reasoning.getByText("First, <b>the colours</b>.")).toBeHidden();
  await expect(answer).toContainText("You said: ponder");
  await reasoning.getByText("Reasoning").click();
  await expect(reasoning.locator(".thoughts")).toHaveText("First, <b>the colours</b>.\n\n**Then** their order.", { useInnerText: true });
  const plain = await ask(chat, "hello");
  await expect(plain.locator("details.reasoning")).toHaveCount(0);
  await chat.reload();
  await answers(chat).first().getByText("Reasoning").click();
  await expect(answers(chat).first().locator(".thoughts")).toContainText("their order");
});

test("several conversations are kept, renamed, reopened and deleted", async ({ chat }) => {
  await withModel(chat);
  await ask(chat, "about cats");
  await chat.getByRole("button", { name: "New chat" }).click();
  await expect(chat.getByRole("heading", { name: "Ask something" })).toBeVisible();
  await ask(chat, "about dogs");
  const list = chat.getByRole("navigation", { name: "Conversations" });
  await expect(list.getByRole("listitem")).toHaveText(["about dogs", "about cats"]);

  await list.getByText("about cats").hover();
  await list.getByRole("button", { name: "Rename “about cats”" }).click();
  await list.getByRole("textbox").fill("Felines");
  await list.getByRole("textbox").press("Enter");
  await chat.reload();
  await expect(answers(chat)).toContainText("about dogs");
  await list.getByRole("button", { name: "Felines", exact: true }).click();
  await expect(answers(chat)).toContainText("about cats");

  await list.getByRole("button", { name: "Delete “Felines”" }).click();
  await list.getByRole("button", { name: "Delete", exact: true }).click();
  await expect(list.getByRole("listitem")).toHaveText(["about dogs"]);
  await chat.reload();
  await expect(list.getByRole("listitem")).toHaveText(["about dogs"]);
});

test("an answer that is growing when the tab is closed is not lost", async ({ chat }) => {
  await withModel(chat);
  await input(chat).fill("forever");
  await input(chat).press("Enter");
  await expect(answers(chat)).toContainText("on and on");
  await chat.waitForTimeout(1500);
  await chat.reload();
  await expect(answers(chat)).toContainText("on and on on and on");
});

test("system prompt and sampling reach the model, numbers are kept within their range", async ({ chat }) => {
  await withModel(chat);
  await chat.getByRole("button", { name: "Settings and readings" }).click();
  const panel = chat.getByRole("complementary", { name: "Settings and readings" });
  await panel.getByLabel("System prompt").fill("Be brief.");
  await panel.getByLabel("Temperature").fill("9");
  await panel.getByLabel("Temperature").blur();
  await expect(panel.getByLabel("Temperature")).toHaveValue("2");
  await panel.getByLabel("Temperature").fill("0.3");
  await panel.getByLabel("Longest answer").fill("4");
  await panel.getByLabel("Longest answer").blur();
  const short = await ask(chat, "settings");
  await expect(short).toContainText("It ends here");
  await panel.getByLabel("Longest answer").fill("");
  const whole = await ask(chat, "settings");
  await expect(whole).toContainText("system: Be brief., temperature: 0.3.");

  await expect(panel.getByText("Fake GPU")).toBeVisible();
  await expect(panel.getByText("20 computed, 60 reused")).toBeVisible();
  await expect(chat.getByRole("meter", { name: "Context used" })).toHaveAttribute("aria-valuetext", /^\d+ of 4,096 tokens of context used, [\d,]+ left$/);

  await chat.reload();
  await chat.getByRole("button", { name: "Settings and readings" }).click();
  await expect(panel.getByLabel("Temperature")).toHaveValue("0.3");
  await panel.getByRole("button", { name: "All as the model's file says" }).click();
  await expect(panel.getByLabel("Temperature")).toHaveValue("");
  await expect(panel.getByLabel("System prompt")).toHaveValue("Be brief.");
});

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  args: { name?: string };
  /** Processor time, in µs. */
  tdur?: number;
}

/** Processor time of each task of the page's main thread, in ms: on a busy machine the clock counts other people's work, too. */
function taskTimes(trace: Buffer): number[] {
  const { traceEvents } = JSON.parse(trace.toString()) as { traceEvents: TraceEvent[] };
  const thread = ({ pid, tid }: TraceEvent) => `${pid}:${tid}`;
  const mains = new Set(traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(thread));
  return traceEvents.filter((event) => event.ph === "X" && event.name === "RunTask" && mains.has(thread(event))).map(({ tdur }) => (tdur ?? 0) / 1000);
}

test("a long answer: no task of the page over 50 ms", async ({ chat, browser }) => {
  await withModel(chat);
  await input(chat).fill("huge");
  await browser.startTracing(chat, { categories: ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"] });
  // Nothing is asked of the page meanwhile: a look by the test would be a task of its own.
  await chat.evaluate(
    () =>
      new Promise<void>((resolve) => {
        new MutationObserver(() => {
          if (document.querySelector(".answer[aria-busy=false]") !== null) {
            setTimeout(resolve, 300);
          }
        }).observe(document.querySelector("main") as Element, { subtree: true, attributes: true, attributeFilter: ["aria-busy"] });
        (document.querySelector(".send") as HTMLElement).click();
      }),
  );
  const times = taskTimes(await browser.stopTracing());
  await expect(answers(chat)).toContainText("number 119");
  expect(times.length).toBeGreaterThan(100);
  expect(Math.max(...times)).toBeLessThanOrEqual(50);
});

test("what is being read stays in place while the answer grows", async ({ chat }) => {
  await withModel(chat);
  await input(chat).fill("huge");
  await input(chat).press("Enter");
  await expect(answers(chat)).toContainText("number 30");
  await chat.getByRole("log").evaluate((box) => (box.scrollTop = 200));
  const heading = chat.getByRole("heading", { name: "Part 2", exact: true });
  const before = await heading.boundingBox();
  await expect(answers(chat)).toContainText("number 119");
  expect(await heading.boundingBox()).toEqual(before);
  await finished(chat);
  await chat.getByRole("button", { name: "To the latest message" }).click();
  await expect(answers(chat).getByText("number 119")).toBeInViewport();
});
