import { bytes, count } from "../format.js";
import { cancel, isComplete, load, setContext, type Pick } from "../state/model.js";
import { OnProcessor } from "./Device.js";
import { Icon } from "./Icon.js";

type Planned = Extract<Pick, { phase: "planned" }>;

/** Contexts to choose from: powers of two up to the largest, and the one in use. */
function contextsUpTo(largest: number, chosen: number): number[] {
  const sizes = new Set([chosen, largest]);
  for (let size = 512; size < largest; size *= 2) {
    sizes.add(size);
  }
  return [...sizes].filter((size) => size > 0).sort((a, b) => a - b);
}

function verdictOf({ plan }: Planned): { text: string; state: "good" | "bad" | "open" } {
  if (plan.fits === null) {
    return { text: "Whether it fits shows when it is loaded: no GPU could be asked.", state: "open" };
  }
  return plan.fits ? { text: "It fits on this device.", state: "good" } : { text: "It does not run on this device.", state: "bad" };
}

/** What the header says, before anything is downloaded: whether it fits, what it takes, and with how much context. */
export function PlanCard({ planned }: { planned: Planned }) {
  const { choice, plan, contextLength } = planned;
  const { text, state } = verdictOf(planned);
  // Keys and values take the same bytes for each token of context.
  const kv = plan.contextLength > 0 ? (plan.bytes.kv * contextLength) / plan.contextLength : plan.bytes.kv;
  const parts = [
    { name: "weights", label: "Weights", bytes: plan.bytes.weights },
    { name: "kv", label: "Context", bytes: kv },
    { name: "scratch", label: "Working memory", bytes: plan.bytes.scratch },
  ];
  const total = parts.reduce((sum, part) => sum + part.bytes, 0);
  const { model } = plan;
  return (
    <section class="card plan" aria-labelledby="plan-title">
      <h2 id="plan-title">{model.name ?? choice.label}</h2>
      <p class="quiet">
        {model.architecture} · {model.layers} layers · width {count(model.width)} · vocabulary {count(model.vocabulary)} · trained for{" "}
        {count(model.trainedContext)} tokens
      </p>
      <p class="verdict" data-state={state}>
        <Icon name={state === "good" ? "check" : "warn"} /> {text}
      </p>
      {plan.reasons.length > 0 && (
        <ul class="reasons">
          {plan.reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      )}
      {!model.chatTemplate && <p class="quiet">The file has no chat template: it may be a base model, which continues text rather than answering.</p>}
      <div class="memory-bar" aria-hidden="true">
        {parts.map((part) => (
          <span key={part.name} data-part={part.name} style={{ flexGrow: part.bytes / Math.max(1, total) }} />
        ))}
      </div>
      <dl class="figures">
        {parts.map((part) => (
          <div key={part.name}>
            <dt>
              <span class="swatch" data-part={part.name} aria-hidden="true" />
              {part.label}
            </dt>
            <dd>{bytes(part.bytes)}</dd>
          </div>
        ))}
        <div class="sum">
          <dt>{plan.device.kind === "gpu" ? "GPU memory" : "Memory"}</dt>
          <dd>{bytes(total)}</dd>
        </div>
      </dl>
      {plan.fits !== false && plan.contextLengthMax > 0 && (
        <label class="row">
          <span>Context</span>
          <select class="field" value={contextLength} onChange={(event) => setContext(Number(event.currentTarget.value))}>
            {contextsUpTo(plan.contextLengthMax, contextLength).map((size) => (
              <option key={size} value={size}>
                {count(size)} tokens{size === plan.contextLengthMax ? " (the most)" : ""}
              </option>
            ))}
          </select>
        </label>
      )}
      {plan.adapter !== null && plan.device.kind === "gpu" && <p class="quiet">On {plan.adapter.name}</p>}
      <OnProcessor device={plan.device} />
      <p class="buttons">
        {plan.fits !== false && (
          <button type="button" class="button primary" ref={focusOnce} onClick={() => void load(choice, contextLength > 0 ? contextLength : null)}>
            {actionOf(planned)}
          </button>
        )}
        <button type="button" class="button" onClick={cancel}>
          Choose another model
        </button>
      </p>
    </section>
  );
}

function actionOf({ choice, plan }: Planned): string {
  if (choice.kind === "file" || isComplete(choice.url)) {
    return "Load";
  }
  return `Download ${bytes(plan.bytes.file)} and load`;
}

/** The next step gets the focus when it appears, so that Enter goes on. */
function focusOnce(button: HTMLElement | null): void {
  button?.focus({ preventScroll: true });
}
