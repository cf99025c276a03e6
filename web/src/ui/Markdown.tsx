import { memo } from "preact/compat";
import { useMemo, useRef } from "preact/hooks";
import { blocksOf, GrowingMarkdown, htmlOf, type Block } from "../markdown.js";
import { announce } from "../state/announce.js";
import { Icon } from "./Icon.js";

/** How long a button says that it has copied. Milliseconds. */
const COPIED_MS = 1500;

/** Copies, and shows on the button whether that was possible. */
export async function copy(text: string, button: HTMLElement): Promise<void> {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = false;
  }
  button.dataset["copied"] = String(done);
  announce(done ? "Copied." : "The browser did not allow copying.");
  setTimeout(() => delete button.dataset["copied"], COPIED_MS);
}

/** The copy button of every code block, also of those inside lists, which are plain HTML. */
function onClick(event: MouseEvent): void {
  const button = event.target instanceof Element ? event.target.closest<HTMLElement>("button[data-copy]") : null;
  const code = button?.closest(".code")?.querySelector("code");
  if (button && code) {
    void copy(code.textContent ?? "", button);
  }
}

const Code = memo(function Code({ language, text }: { language: string; text: string }) {
  return (
    <div class="code">
      <div class="code-head">
        <span>{language || "text"}</span>
        <button type="button" data-copy="" aria-label="Copy the code">
          <Icon name="copy" /> Copy
        </button>
      </div>
      <pre tabIndex={0} aria-label={`Code${language ? `, ${language}` : ""}`}>
        <code>{text}</code>
      </pre>
    </div>
  );
});

const Html = memo(
  function Html({ block }: { block: Extract<Block, { kind: "html" }> }) {
    const html = useMemo(() => htmlOf(block.token), [block.raw]);
    return <div class="block" dangerouslySetInnerHTML={{ __html: html }} />;
  },
  (before, after) => before.block.raw === after.block.raw,
);

/** A text as Markdown. While it grows only its last block is read and drawn anew. */
export function Markdown({ text, growing }: { text: string; growing: boolean }) {
  const reader = useRef(new GrowingMarkdown());
  const blocks = useMemo(() => (growing ? reader.current.read(text) : blocksOf(text)), [text, growing]);
  return (
    <div class="markdown" onClick={onClick}>
      {blocks.map((block, index) =>
        block.kind === "code" ? <Code key={index} language={block.language} text={block.text} /> : <Html key={index} block={block} />,
      )}
    </div>
  );
}
