import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { running, send, stop } from "../state/answer.js";
import { current } from "../state/chats.js";
import { choosing } from "../state/layout.js";
import { last, loaded, pick, reopen } from "../state/model.js";
import { Icon } from "./Icon.js";
import { ModelStrip } from "./ModelView.js";

/** Height the field grows to, in pixels; beyond it scrolls. */
const TALLEST = 240;

const draft = signal("");

export function setDraft(text: string): void {
  draft.value = text;
  const input = document.querySelector<HTMLTextAreaElement>("#composer-input");
  input?.focus();
}

function submit(event?: Event): void {
  event?.preventDefault();
  if (loaded.peek() !== null && running.peek() === null && draft.peek().trim() !== "") {
    const text = draft.peek();
    draft.value = "";
    void send(text);
  }
}

async function openAgain(): Promise<void> {
  choosing.value = !(await reopen()) && pick.peek().phase === "idle";
}

/** Why nothing can be sent now, with the way out. */
function Strip() {
  const said = (current.value?.messages.length ?? 0) > 0;
  if (loaded.value !== null && pick.value.phase !== "failed") {
    return null;
  }
  if (!said && loaded.value === null) {
    return null;
  }
  if (!isSecureContext) {
    return <p class="strip">No model runs at an address that is not secure. Conversations can still be read.</p>;
  }
  if (pick.value.phase !== "idle" && !choosing.value) {
    return (
      <div class="strip">
        <ModelStrip />
      </div>
    );
  }
  return (
    <p class="strip">
      <span>To go on, load a model.</span>
      {last.value !== null && (
        <button type="button" class="button primary" onClick={() => void openAgain()}>
          Load {last.value.label}
        </button>
      )}
      <button type="button" class="button" onClick={() => (choosing.value = true)}>
        Choose a model
      </button>
    </p>
  );
}

export function Composer() {
  const input = useRef<HTMLTextAreaElement>(null);
  const text = draft.value;
  useLayoutEffect(() => {
    const field = input.current;
    if (field !== null) {
      field.style.height = "auto";
      field.style.height = `${Math.min(TALLEST, field.scrollHeight)}px`;
    }
  }, [text]);
  const answering = running.value !== null;
  const can = loaded.value !== null && text.trim() !== "";
  return (
    <footer class="composer">
      <Strip />
      <form class="composer-form" onSubmit={submit}>
        <label class="unseen" for="composer-input">
          Message
        </label>
        <textarea
          id="composer-input"
          ref={input}
          rows={1}
          value={text}
          placeholder={loaded.value === null ? "Load a model to begin" : "Message"}
          aria-describedby="composer-note"
          onInput={(event) => (draft.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
              submit(event);
            }
          }}
        />
        {answering ? (
          <button type="button" class="send" aria-label="Stop the answer" onClick={stop}>
            <Icon name="stop" />
          </button>
        ) : (
          <button type="submit" class="send" aria-label="Send" disabled={!can}>
            <Icon name="send" />
          </button>
        )}
      </form>
      <p class="composer-note" id="composer-note">
        <span>Enter sends</span>
        <span>Shift + Enter starts a line</span>
        <span>Esc stops</span>
      </p>
    </footer>
  );
}
