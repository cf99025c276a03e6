import { useLayoutEffect } from "preact/hooks";
import { announcement } from "../state/announce.js";
import { running, stop } from "../state/answer.js";
import { current, kept } from "../state/chats.js";
import { choiceOfDrop } from "../state/choice.js";
import { choosing, drawer, panel, waiting } from "../state/layout.js";
import { loaded, pick, plan } from "../state/model.js";
import { Chat } from "./Chat.js";
import { Composer } from "./Composer.js";
import { Insecure } from "./Device.js";
import { Header } from "./Header.js";
import { ModelDialog, ModelView } from "./ModelView.js";
import { Panel } from "./Panel.js";
import { Sidebar } from "./Sidebar.js";

/** Esc closes what lies on top, else stops the answer. Dialogs and editors take their own Esc first. */
function onKey(event: KeyboardEvent): void {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]") !== null) {
    return;
  }
  if (drawer.peek()) {
    drawer.value = false;
  } else if (running.peek() !== null) {
    stop();
  } else if (panel.peek()) {
    panel.value = false;
    document.getElementById("panel-toggle")?.focus();
  }
}

function onDragOver(event: DragEvent): void {
  if (event.dataTransfer?.types.includes("Files")) {
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    document.body.classList.add("dropping");
  }
}

function onDragEnd(event: DragEvent): void {
  if (event.type === "drop" || event.relatedTarget === null) {
    document.body.classList.remove("dropping");
  }
}

async function onDrop(event: DragEvent): Promise<void> {
  onDragEnd(event);
  if (!event.dataTransfer?.types.includes("Files")) {
    return;
  }
  event.preventDefault();
  if (!isSecureContext) {
    return;
  }
  const choice = await choiceOfDrop(event.dataTransfer);
  if (choice !== null) {
    choosing.value = loaded.peek() !== null || (current.peek()?.messages.length ?? 0) > 0;
    await plan(choice);
  }
}

export function App() {
  // Before the first paint: what is dropped on a page that can be seen is not lost.
  useLayoutEffect(() => {
    const drop = (event: DragEvent) => void onDrop(event);
    addEventListener("keydown", onKey);
    addEventListener("dragover", onDragOver);
    addEventListener("dragleave", onDragEnd);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("keydown", onKey);
      removeEventListener("dragover", onDragOver);
      removeEventListener("dragleave", onDragEnd);
      removeEventListener("drop", drop);
    };
  }, []);
  const empty = (current.value?.messages.length ?? 0) === 0;
  const pickerInPage = isSecureContext && empty && loaded.value === null;
  return (
    <>
      <a class="skip" href="#composer-input">
        Skip to the message field
      </a>
      <div class="app" data-panel={panel.value}>
        <Sidebar />
        <div class="column">
          <Header />
          <Notices />
          <main class="main">
            {!isSecureContext && empty ? <Insecure /> : pickerInPage ? <ModelView /> : <Chat />}
          </main>
          <Composer />
        </div>
        <Panel />
      </div>
      {!pickerInPage && (choosing.value || pick.value.phase === "planned") && isSecureContext && <ModelDialog />}
      <div class="drop-sign" aria-hidden="true">
        Drop a GGUF file to use it
      </div>
      <p class="unseen" role="status" aria-live="polite">
        {announcement.value}
      </p>
    </>
  );
}

function Notices() {
  return (
    <>
      {waiting.value !== null && (
        <p class="notice" role="status">
          A newer version of this page is ready.
          <button type="button" class="link" onClick={() => waiting.value?.postMessage("activate")}>
            Use it
          </button>
        </p>
      )}
      {!kept.value && (
        <p class="notice" role="status">
          This browser keeps nothing for this page, perhaps a private window: conversations end with the tab.
        </p>
      )}
    </>
  );
}
