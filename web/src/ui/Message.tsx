import { memo } from "preact/compat";
import { useRef, useState } from "preact/hooks";
import { count, milliseconds, rate } from "../format.js";
import { edit, growing, pondering, regenerate, running, type Running } from "../state/answer.js";
import { loaded } from "../state/model.js";
import type { Message as Said, Reading } from "../store.js";
import { Icon } from "./Icon.js";
import { copy, Markdown } from "./Markdown.js";

interface Props {
  conversation: string;
  message: Said;
  /** The last one of its conversation. */
  latest: boolean;
}

export const Message = memo(function Message(props: Props) {
  return props.message.role === "user" ? <Question {...props} /> : <Answer {...props} />;
});

/** Whether the model is free to answer. */
function ready(): boolean {
  return loaded.value !== null && running.value === null;
}

function Question({ conversation, message, latest }: Props) {
  const [editing, setEditing] = useState(false);
  const item = useRef<HTMLLIElement>(null);
  const rest = () => {
    setEditing(false);
    requestAnimationFrame(() => item.current?.querySelector<HTMLElement>("[data-edit]")?.focus());
  };
  const submit = (text: string) => {
    if (text.trim() !== "" && ready()) {
      setEditing(false);
      void edit(conversation, message.id, text);
      document.getElementById("composer-input")?.focus();
    }
  };
  return (
    <li class="message question" ref={item} aria-label="You">
      {editing ? (
        <Editor text={message.text} submit={submit} cancel={rest} />
      ) : (
        <>
          <div class="bubble">{message.text}</div>
          <div class="actions">
            {latest && running.value === null && (
              <button type="button" class="tool" disabled={!ready()} onClick={() => void regenerate(conversation, message.id)}>
                <Icon name="again" /> Answer
              </button>
            )}
            <button type="button" class="tool" data-edit disabled={!ready()} aria-label="Edit the message" onClick={() => setEditing(true)}>
              <Icon name="edit" /> Edit
            </button>
          </div>
        </>
      )}
    </li>
  );
}

function Editor({ text, submit, cancel }: { text: string; submit: (text: string) => void; cancel: () => void }) {
  const [draft, setDraft] = useState(text);
  return (
    <div class="editor">
      <textarea
        class="field"
        aria-label="Edit the message"
        aria-describedby="edit-note"
        rows={Math.min(12, draft.split("\n").length + 1)}
        value={draft}
        ref={focusFirst}
        onInput={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            submit(draft);
          } else if (event.key === "Escape") {
            event.preventDefault();
            cancel();
          }
        }}
      />
      <p class="buttons">
        <button type="button" class="button primary" disabled={draft.trim() === "" || !ready()} onClick={() => submit(draft)}>
          Ask again
        </button>
        <button type="button" class="button" onClick={cancel}>
          Cancel
        </button>
        <span class="quiet" id="edit-note">
          What followed it goes.
        </span>
      </p>
    </div>
  );
}

function focusFirst(area: HTMLTextAreaElement | null): void {
  if (area !== null && document.activeElement !== area) {
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }
}

function Answer({ conversation, message }: Props) {
  const now = running.value?.message === message.id ? running.value : null;
  const text = now === null ? message.text : growing.value;
  const reasoning = now === null ? (message.reasoning ?? "") : pondering.value;
  return (
    <li class="message answer" aria-label="Answer" aria-busy={now !== null}>
      {reasoning !== "" && <Reasoning text={reasoning} growing={now !== null && text === ""} />}
      {now !== null && text === "" && reasoning === "" ? <Waiting now={now} /> : <Markdown text={text} growing={now !== null} />}
      {now === null && message.ended === "length" && <p class="quiet">It ends here: the longest answer or the context's end was reached.</p>}
      {now === null && message.ended === "stopped" && <p class="quiet">Stopped.</p>}
      <div class="actions">
        {now === null ? (
          <>
            <button type="button" class="tool" aria-label="Copy the answer" onClick={(event) => void copy(message.text, event.currentTarget)}>
              <Icon name="copy" /> Copy
            </button>
            <button
              type="button"
              class="tool"
              disabled={!ready()}
              aria-label="Answer again"
              onClick={() => void regenerate(conversation, message.id)}
            >
              <Icon name="again" /> Regenerate
            </button>
            {message.reading && <Figures reading={message.reading} />}
          </>
        ) : (
          <Live now={now} />
        )}
      </div>
    </li>
  );
}

/** What the model thought, out of the way until it is asked for. As text: it is no part of the answer. */
function Reasoning({ text, growing: now }: { text: string; growing: boolean }) {
  return (
    <details class="reasoning">
      <summary>
        {now && <span class="pulse" aria-hidden="true" />} {now ? "Reasoning…" : "Reasoning"}
      </summary>
      <div class="thoughts">{text}</div>
    </details>
  );
}

function Waiting({ now: { prefill } }: { now: Running }) {
  const share = prefill !== null && prefill.total > 0 ? ` ${count(prefill.done)} of ${count(prefill.total)} tokens` : "";
  return (
    <p class="waiting">
      <span class="pulse" aria-hidden="true" /> Reading the conversation…{share}
    </p>
  );
}

/** Figures of the running answer. */
function Live({ now }: { now: Running }) {
  if (now.firstToken === null) {
    return null;
  }
  const seconds = (performance.now() - now.firstToken) / 1000;
  const speed = now.tokens > 1 && seconds > 0 ? (now.tokens - 1) / seconds : null;
  return (
    <span class="figures-line">
      {speed !== null && `${rate(speed)} · `}
      {count(now.tokens)} tokens · first after {milliseconds(now.firstToken - now.started)}
    </span>
  );
}

function Figures({ reading }: { reading: Reading }) {
  const reused = reading.promptTokens - reading.prefilledTokens;
  const title = `${count(reading.prefilledTokens)} prompt tokens computed, ${count(reused)} reused`;
  return (
    <span class="figures-line" title={title}>
      {rate(reading.tokensPerSecond)} · {count(reading.tokens)} tokens · first after {milliseconds(reading.ttftMs)}
    </span>
  );
}
