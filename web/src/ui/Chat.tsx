import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { failure, growing, regenerate, running } from "../state/answer.js";
import { current, openChat } from "../state/chats.js";
import { choosing } from "../state/layout.js";
import { loaded, planLarger, reload } from "../state/model.js";
import type { Remedy } from "../state/problems.js";
import { setDraft } from "./Composer.js";
import { Icon } from "./Icon.js";
import { Message } from "./Message.js";
import { ProblemBox } from "./ProblemBox.js";

/** Nearer to the end than this counts as at the end. Pixels. */
const NEAR_END = 48;

const IDEAS = ["Explain how rainbows form, to a ten-year-old.", "Write a short poem about the sea in autumn.", "What is a prime number? Give five examples."];

function act(remedy: Remedy): void {
  const id = current.peek()?.id ?? null;
  const latest = current.peek()?.messages.at(-1);
  switch (remedy) {
    case "new-chat":
      openChat(null);
      break;
    case "reload-model":
      failure.value = null;
      void reload();
      break;
    case "larger-context":
      failure.value = null;
      choosing.value = true;
      void planLarger();
      break;
    case "retry":
      if (id !== null && latest !== undefined) {
        void regenerate(id, latest.id);
      }
      break;
    case "choose-another":
    case "smaller-context":
    case "clear-cache":
      choosing.value = true;
  }
}

export function Chat() {
  const conversation = current.value;
  const scroller = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const [away, setAway] = useState(false);

  const toEnd = () => {
    const box = scroller.current;
    if (box !== null) {
      box.scrollTop = box.scrollHeight;
    }
  };
  const onScroll = () => {
    const box = scroller.current;
    if (box !== null) {
      atEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END;
      setAway(!atEnd.current);
    }
  };
  // Another conversation, or one more message: to the end. A growing answer: only if the reader is there.
  useLayoutEffect(() => {
    atEnd.current = true;
    toEnd();
  }, [conversation?.id, conversation?.messages.length]);
  useEffect(
    () =>
      growing.subscribe(() => {
        requestAnimationFrame(() => atEnd.current && toEnd());
      }),
    [],
  );

  if (conversation === null || conversation.messages.length === 0) {
    return <Empty />;
  }
  const problem = failure.value?.conversation === conversation.id ? failure.value.problem : null;
  const latest = conversation.messages.length - 1;
  return (
    <div class="chat" ref={scroller} onScroll={onScroll} role="log" aria-live="off" aria-label={conversation.title} tabIndex={0}>
      <ol class="messages">
        {conversation.messages.map((message, index) => (
          <Message key={message.id} conversation={conversation.id} message={message} latest={index === latest} />
        ))}
      </ol>
      {problem !== null && (
        <div class="messages">
          <ProblemBox problem={problem} act={act} />
        </div>
      )}
      {away && (
        <button type="button" class="to-end icon-button" aria-label="To the latest message" onClick={toEnd}>
          <Icon name="down" />
        </button>
      )}
    </div>
  );
}

/** A model is there, and nothing has been said. */
function Empty() {
  const model = loaded.value;
  return (
    <div class="empty">
      <h1>{model === null ? "Nothing said yet" : "Ask something"}</h1>
      {model !== null && (
        <p class="quiet">
          {model.choice.label} answers from {model.info.adapter.name}. Small models make things up: check what matters.
        </p>
      )}
      {model !== null && running.value === null && (
        <ul class="ideas">
          {IDEAS.map((idea) => (
            <li key={idea}>
              <button type="button" class="idea" onClick={() => setDraft(idea)}>
                {idea}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
