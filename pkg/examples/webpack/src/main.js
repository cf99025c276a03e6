import { Chord, ChordError } from "wasm-chord";

const file = document.querySelector("#file");
const question = document.querySelector("#question");
const out = document.querySelector("#out");

file.addEventListener("change", async () => {
  const [model] = file.files ?? [];
  if (!model) {
    return;
  }
  try {
    const chord = await Chord.load(model, { onProgress: ({ stage }) => (out.textContent = stage) });
    out.textContent = "";
    const messages = [{ role: "user", content: question.value }];
    for await (const chunk of await chord.chat.completions.create({ messages, stream: true })) {
      out.textContent += chunk.choices[0]?.delta.content ?? "";
    }
    await chord.dispose();
  } catch (error) {
    out.textContent = error instanceof ChordError ? `${error.code}: ${error.message}\n${error.help}` : String(error);
  }
});
