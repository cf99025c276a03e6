/**
 * Markdown of an untrusted author (a model) as safe HTML, block by block.
 *
 * Two layers: raw HTML and images never become elements here (they are shown as text and as links), and what is built passes
 * DOMPurify with a short list of tags. Streaming: blocks before the last one are read once and kept.
 */
import DOMPurify from "dompurify";
import { Marked, type Token, type Tokens } from "marked";

/** A top-level block: a code block on its own, or anything else as HTML. `raw` is its source and stands for its identity. */
export type Block = { kind: "code"; raw: string; language: string; text: string } | { kind: "html"; raw: string; token: Token };

/** Formatting without attributes is let through; everything else of raw HTML is text. */
const PLAIN_TAG = /^<(?:br|\/?(?:sub|sup|kbd|b|i|em|strong|u|s|mark))\s*\/?>$/i;

function escape(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}

/** First word of a fence's info string. */
function languageOf(info: string | undefined): string {
  return info?.trim().split(/\s/, 1)[0] ?? "";
}

const marked = new Marked({
  gfm: true,
  renderer: {
    html: ({ text }) => (PLAIN_TAG.test(text.trim()) ? text : escape(text)),
    // An image would tell its server what was said here: the reader decides.
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    // Only code blocks inside lists and quotes come this way.
    code: ({ text, lang }) =>
      `<div class="code"><div class="code-head"><span>${escape(languageOf(lang) || "text")}</span>` +
      `<button type="button" data-copy="">Copy</button></div><pre><code>${escape(text)}</code></pre></div>`,
  },
});

const SAFE = {
  ALLOWED_TAGS: (
    "p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong b i u s del mark sub sup kbd a " +
    "table thead tbody tr th td div span button #text"
  ).split(" "),
  ALLOWED_ATTR: ["href", "title", "align", "start", "class", "type", "data-copy", "target", "rel"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
};

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A" && node.hasAttribute("href")) {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer nofollow");
  }
});

/** Safe HTML of one block. */
export function htmlOf(token: Token): string {
  return DOMPurify.sanitize(marked.parser([token]), SAFE);
}

function blockOf(token: Token): Block {
  if (token.type === "code") {
    const code = token as Tokens.Code;
    return { kind: "code", raw: code.raw, language: languageOf(code.lang), text: code.text };
  }
  return { kind: "html", raw: token.raw, token };
}

/** Blocks of a whole text. */
export function blocksOf(text: string): Block[] {
  return marked
    .lexer(text)
    .filter((token) => token.type !== "space" && token.type !== "def")
    .map(blockOf);
}

/** One of each kind of block, and what may be within. */
const SAMPLE = ["# a", "b **c** *d* `e` ~~f~~ [g](http://h) https://i.j <br>", "- k\n- [ ] l", "1. m", "> n", "| o | p |\n| - | - |\n| q | r |", "---", "```s\nt\n```"];

/**
 * Reads and draws a block that nobody sees, the next one with each call; false after the last. The first of each kind makes the browser
 * compile expressions and code: for all of them together that takes longer than a frame of the first answer should.
 */
export function warmUp(): boolean {
  const block = SAMPLE.shift();
  for (const token of block === undefined ? [] : marked.lexer(block)) {
    htmlOf(token);
  }
  return SAMPLE.length > 0;
}

/** Reads a text that only grows: each call costs as much as its last block is long. */
export class GrowingMarkdown {
  #settled: Block[] = [];
  /** Characters of the text that the settled blocks and the space between them take. */
  #length = 0;

  read(text: string): Block[] {
    const tokens = marked.lexer(text.slice(this.#length));
    let last = tokens.length - 1;
    while (last > 0 && tokens[last]?.type === "space") {
      last -= 1;
    }
    // The lexer normalises line ends: only a prefix that is found again in the text may be settled.
    for (const token of tokens.slice(0, Math.max(0, last))) {
      if (!text.startsWith(token.raw, this.#length)) {
        return [...this.#settled, ...this.#open(text)];
      }
      this.#length += token.raw.length;
      if (token.type !== "space" && token.type !== "def") {
        this.#settled.push(blockOf(token));
      }
    }
    return [...this.#settled, ...this.#open(text)];
  }

  #open(text: string): Block[] {
    return blocksOf(text.slice(this.#length));
  }
}
