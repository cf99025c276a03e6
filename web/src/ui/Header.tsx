import { count, percent } from "../format.js";
import { context } from "../state/answer.js";
import { choosing, drawer, panel } from "../state/layout.js";
import { loaded, pick } from "../state/model.js";
import { Icon } from "./Icon.js";

function modelText(): string {
  const phase = pick.value.phase;
  if (phase === "loading") {
    return `Loading ${pick.value.choice.label}…`;
  }
  return loaded.value?.choice.label ?? "No model";
}

function openDrawer(): void {
  drawer.value = true;
  requestAnimationFrame(() => document.querySelector<HTMLElement>("#sidebar button")?.focus());
}

export function Header() {
  return (
    <header class="header">
      <button
        type="button"
        class="icon-button drawer-toggle"
        aria-label="Conversations"
        aria-expanded={drawer.value}
        aria-controls="sidebar"
        onClick={openDrawer}
      >
        <Icon name="menu" />
      </button>
      <button
        type="button"
        class="model-button"
        data-ready={loaded.value !== null}
        disabled={!isSecureContext}
        aria-haspopup="dialog"
        title="Choose another model"
        onClick={() => (choosing.value = true)}
      >
        <span class="dot" aria-hidden="true" />
        <span class="model-name">{modelText()}</span>
        <Icon name="chevron" />
      </button>
      <ContextMeter />
      <button
        type="button"
        id="panel-toggle"
        class="icon-button"
        aria-label="Settings and readings"
        aria-expanded={panel.value}
        aria-controls="panel"
        onClick={() => (panel.value = !panel.value)}
      >
        <Icon name="sliders" />
      </button>
    </header>
  );
}

function ContextMeter() {
  const now = context.value;
  if (now === null) {
    return <span class="context" />;
  }
  const left = Math.max(0, now.total - now.used);
  const text = `${count(now.used)} of ${count(now.total)} tokens of context used, ${count(left)} left`;
  return (
    <span class="context" title={text}>
      <meter class="unseen" min={0} max={now.total} value={now.used} aria-label="Context used" aria-valuetext={text} />
      <span class="context-bar" aria-hidden="true">
        <span style={{ width: `${percent(now.used, now.total)}%` }} data-tight={left < now.total / 8} />
      </span>
      <span class="context-text" aria-hidden="true">
        {count(left)} left
      </span>
    </span>
  );
}
