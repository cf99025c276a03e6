/** Threads of the processor, in a page that is cross-origin isolated. */
import { expect } from "@playwright/test";
import { T0, test, TINY } from "./harness.ts";

test("an isolated page computes on as many threads as asked for, with the same ids", { tag: "@isolated" }, async ({ chordPage, server }) => {
  const asked = (name: string) => server.requests(`/pkg/engine/${name}`).length;
  const seen = await chordPage.evaluate(async (url) => {
    const answer = async (threads?: number) => {
      const options = { cache: "none", contextLength: 128, ...(threads && { threads }) } as const;
      const plan = await Chord.plan(url, options);
      const chord = await Chord.load(url, options);
      const { tokens } = await chord.completions.create({ prompt: "once upon", max_tokens: 24, temperature: 0 });
      const { device } = await chord.stats();
      await chord.dispose();
      return { planned: plan.device.threads, threads: device.threads, ids: tokens.completion, name: chord.info.adapter.name };
    };
    return { processor: navigator.hardwareConcurrency, all: [await answer(), await answer(1), await answer(3)] };
  }, `/models/${TINY}.gguf`);
  const [most, one, three] = seen.all;
  const expected = Math.min(seen.processor, 8);
  expect(most).toMatchObject({ planned: expected, threads: expected });
  expect(one).toMatchObject({ planned: 1, threads: 1, name: "CPU, 1 thread", ids: most?.ids });
  expect(three).toMatchObject({ planned: 3, threads: 3, name: "CPU, 3 threads", ids: most?.ids });
  expect(most?.ids).toHaveLength(24);
  // A plan and a load each fetch what they run: with threads, and with one for the worker alone.
  expect([asked("chord_web_relaxed_threads_bg.wasm"), asked("chord_web_relaxed_bg.wasm")]).toEqual([4, 2]);
});

test("threads that cannot start leave one, and a thread that stops ends the model with its reason", { tag: "@isolated" }, async ({ chordPage, server }) => {
  const load = async (inThread: string) => {
    const body = `import "/pkg/worker.js"; if (self.name.includes("thread")) { ${inThread} }`;
    server.serve("/worker.js", { body, type: "text/javascript" });
    return chordPage.evaluate(async (url) => {
      try {
        const chord = await Chord.load(url, { cache: "none", contextLength: 64, threads: 2, workerUrl: "/worker.js" });
        const { tokens } = await chord.completions.create({ prompt: "a", max_tokens: 6, temperature: 0 });
        const { device } = await chord.stats();
        await chord.dispose();
        return { threads: device.threads, tokens: tokens.completion.length };
      } catch (error) {
        const { code, message, help } = error as { code: string; message: string; help: string };
        return { code, message, helped: help?.length > 0 };
      }
    }, T0);
  };
  expect(await load("")).toEqual({ threads: 2, tokens: 6 });
  expect(await load('throw new Error("blocked");')).toEqual({ threads: 1, tokens: 6 });
  const trap = `const { Instance } = WebAssembly;
    WebAssembly.Instance = function (...a) { return { exports: { ...new Instance(...a).exports, lendThread() { throw new Error("boom"); } } }; };`;
  expect(await load(trap)).toMatchObject({ code: "E_WORKER", message: expect.stringContaining("boom"), helped: true });
});
