import { useEffect, useRef } from "preact/hooks";
import { choosing } from "../state/layout.js";
import { cancel, clearAndRetry, load, loaded, pick, planSmaller, retry, type Pick } from "../state/model.js";
import type { Remedy } from "../state/problems.js";
import { Icon } from "./Icon.js";
import { ModelPicker } from "./ModelPicker.js";
import { PlanCard } from "./PlanCard.js";
import { ProblemBox } from "./ProblemBox.js";
import { Progress } from "./Progress.js";

type Failed = Extract<Pick, { phase: "failed" }>;

function act(failed: Failed, remedy: Remedy): void {
  switch (remedy) {
    case "smaller-context":
      void planSmaller(failed);
      break;
    case "clear-cache":
      void clearAndRetry(failed);
      break;
    case "choose-another":
      cancel();
      break;
    case "larger-context":
    case "reload-model":
      void load(failed.choice, failed.contextLength);
      break;
    case "retry":
    case "new-chat":
      void retry(failed);
  }
}

/** The way from no model to a loaded one, step by step. */
function Steps() {
  const now = pick.value;
  switch (now.phase) {
    case "idle":
      return <ModelPicker />;
    case "planning":
      return (
        <section class="card" aria-busy="true">
          <h2>{now.choice.label}</h2>
          <p class="quiet">Reading the header…</p>
          <p class="buttons">
            <button type="button" class="button" onClick={cancel}>
              Cancel
            </button>
          </p>
        </section>
      );
    case "planned":
      return <PlanCard planned={now} />;
    case "loading":
      return (
        <section class="card">
          <h2>{now.choice.label}</h2>
          <Progress loading={now} />
        </section>
      );
    case "failed":
      return (
        <section class="card">
          <h2>{now.choice.label}</h2>
          <ProblemBox problem={now.problem} act={(remedy) => act(now, remedy)} />
        </section>
      );
  }
}

/** The first screen. */
export function ModelView() {
  return (
    <div class="sheet">
      <h1>A language model in this tab</h1>
      <p class="lead">
        It runs on your own computer: on its graphics processor, or where there is none, on its processor. What you write stays on this device; after the first download it works offline, too.
      </p>
      <Steps />
    </div>
  );
}

/** The same over a conversation. */
export function ModelDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  const phase = pick.value.phase;
  const model = loaded.value;
  // Loading and its outcome are shown in the page: the conversation can be read meanwhile.
  useEffect(() => {
    if (phase === "loading") {
      choosing.value = false;
    }
  }, [phase]);
  const close = () => {
    if (pick.peek().phase !== "loading") {
      cancel();
    }
    choosing.value = false;
    document.querySelector<HTMLElement>(".model-button")?.focus();
  };
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div class="dialog-body">
        <div class="dialog-head">
          <h1 id="dialog-title">Model</h1>
          <button type="button" class="icon-button" aria-label="Close" onClick={close}>
            <Icon name="close" />
          </button>
        </div>
        {model !== null && phase === "idle" && (
          <p class="quiet">
            {model.choice.label} is loaded. Another one takes its place; conversations stay.
          </p>
        )}
        <Steps />
      </div>
    </dialog>
  );
}

/** Between conversation and message field, while no model is there to answer: progress, what failed, or how to get one. */
export function ModelStrip() {
  const now = pick.value;
  if (now.phase === "loading") {
    return <Progress loading={now} />;
  }
  if (now.phase === "failed") {
    return <ProblemBox problem={now.problem} act={(remedy) => actInStrip(now, remedy)} />;
  }
  return null;
}

function actInStrip(failed: Failed, remedy: Remedy): void {
  choosing.value = remedy === "choose-another" || remedy === "smaller-context";
  act(failed, remedy);
}
