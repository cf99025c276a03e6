import { useRef, useState } from "preact/hooks";
import type { Conversation } from "../store.js";
import { conversations, currentId, openChat, removeChat, setTitle } from "../state/chats.js";
import { drawer } from "../state/layout.js";
import { running, stop } from "../state/answer.js";
import { setTheme, theme, type Theme } from "../state/settings.js";
import { Icon } from "./Icon.js";

function open(id: string | null): void {
  openChat(id);
  drawer.value = false;
  document.getElementById("composer-input")?.focus();
}

export function Sidebar() {
  return (
    <>
      {drawer.value && <div class="shade" onClick={() => (drawer.value = false)} />}
      <nav id="sidebar" class="sidebar" data-open={drawer.value} aria-label="Conversations">
        <div class="brand">
          <img src="./icon.svg" alt="" width="26" height="26" />
          <span>wasm-chord</span>
        </div>
        <button type="button" class="button new-chat" onClick={() => open(null)}>
          <Icon name="plus" /> New chat
        </button>
        <ul class="chats">
          {conversations.value.map((conversation) => (
            <Entry key={conversation.id} conversation={conversation} />
          ))}
        </ul>
        {conversations.value.length === 0 && <p class="quiet chats-empty">Conversations are kept here, in this browser only.</p>}
        <ThemeSwitch />
      </nav>
    </>
  );
}

function Entry({ conversation }: { conversation: Conversation }) {
  const [mode, setMode] = useState<"rest" | "rename" | "delete">("rest");
  const item = useRef<HTMLLIElement>(null);
  const rest = () => {
    setMode("rest");
    requestAnimationFrame(() => item.current?.querySelector("button")?.focus());
  };
  const here = conversation.id === currentId.value;
  if (mode === "rename") {
    return (
      <li class="chat-entry" ref={item}>
        <input
          class="field"
          aria-label="Title of the conversation"
          value={conversation.title}
          ref={(input) => input?.focus()}
          onBlur={() => setMode("rest")}
          onKeyDown={(event) => {
            if (event.key === "Enter") {
              setTitle(conversation.id, event.currentTarget.value);
              rest();
            } else if (event.key === "Escape") {
              event.preventDefault();
              rest();
            }
          }}
        />
      </li>
    );
  }
  if (mode === "delete") {
    return (
      <li class="chat-entry asking" ref={item}>
        <span>Delete it for good?</span>
        <button
          type="button"
          class="link danger"
          ref={(button) => button?.focus()}
          onClick={() => {
            if (running.peek()?.conversation === conversation.id) {
              stop();
            }
            removeChat(conversation.id);
          }}
        >
          Delete
        </button>
        <button type="button" class="link" onClick={rest}>
          Keep
        </button>
      </li>
    );
  }
  return (
    <li class="chat-entry" ref={item} data-here={here}>
      <button type="button" class="chat-open" aria-current={here ? "page" : undefined} onClick={() => open(conversation.id)}>
        {conversation.title}
      </button>
      <button type="button" class="icon-button small" aria-label={`Rename “${conversation.title}”`} onClick={() => setMode("rename")}>
        <Icon name="edit" />
      </button>
      <button type="button" class="icon-button small" aria-label={`Delete “${conversation.title}”`} onClick={() => setMode("delete")}>
        <Icon name="trash" />
      </button>
    </li>
  );
}

const THEMES: { value: Theme; label: string; icon: "sun" | "moon" | "system" }[] = [
  { value: "system", label: "As the system", icon: "system" },
  { value: "light", label: "Light", icon: "sun" },
  { value: "dark", label: "Dark", icon: "moon" },
];

function ThemeSwitch() {
  return (
    <fieldset class="theme-switch">
      <legend class="unseen">Colours</legend>
      {THEMES.map(({ value, label, icon }) => (
        <label key={value} title={label}>
          <input type="radio" name="theme" value={value} checked={theme.value === value} onChange={() => setTheme(value)} />
          <Icon name={icon} />
          <span class="unseen">{label}</span>
        </label>
      ))}
    </fieldset>
  );
}
