import { bytes, count, milliseconds, rate } from "../format.js";
import { current, setSystem } from "../state/chats.js";
import { panel } from "../state/layout.js";
import { loaded, stats, unload } from "../state/model.js";
import { change, FIELDS, resetSampling, settings, type NumberField } from "../state/settings.js";
import { Icon } from "./Icon.js";

export function Panel() {
  const close = () => {
    panel.value = false;
    document.getElementById("panel-toggle")?.focus();
  };
  return (
    <aside id="panel" class="panel" hidden={!panel.value} aria-label="Settings and readings">
      <div class="panel-head">
        <h2>Settings</h2>
        <button type="button" class="icon-button" aria-label="Close settings and readings" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      <System />
      <Sampling />
      <Readings />
    </aside>
  );
}

function System() {
  return (
    <section>
      <label class="panel-label" for="system">
        System prompt
      </label>
      <textarea
        id="system"
        class="field"
        rows={4}
        placeholder="How the model should behave: “Answer briefly.”"
        value={current.value?.system ?? settings.value.system}
        aria-describedby="system-hint"
        onChange={(event) => setSystem(event.currentTarget.value)}
      />
      <p class="hint" id="system-hint">
        For this conversation and those begun after it.
      </p>
    </section>
  );
}

/** Null where the field is empty; a number outside the range is brought into it. */
function read(field: NumberField, input: HTMLInputElement): void {
  const value = input.value.trim() === "" ? null : Number(input.value);
  if (value === null || Number.isNaN(value)) {
    change({ [field.key]: null });
  } else {
    const whole = Number.isInteger(field.step) ? Math.round(value) : value;
    change({ [field.key]: Math.min(field.max, Math.max(field.min, whole)) });
  }
  // Also when the setting stays the same, the field shows it.
  input.value = String(settings.peek()[field.key] ?? "");
}

function Sampling() {
  const made = settings.value;
  return (
    <section aria-labelledby="sampling">
      <h3 id="sampling">Sampling</h3>
      <p class="hint">Empty: as the model's file says.</p>
      {FIELDS.map((field) => (
        <div class="setting" key={field.key}>
          <label for={field.key}>{field.label}</label>
          <input
            id={field.key}
            class="field"
            type="number"
            inputMode="decimal"
            min={field.min}
            max={field.max}
            step={field.step}
            placeholder="default"
            value={made[field.key] ?? ""}
            aria-describedby={`${field.key}-hint`}
            onChange={(event) => read(field, event.currentTarget)}
          />
          <p class="hint" id={`${field.key}-hint`}>
            {field.hint}
          </p>
        </div>
      ))}
      <button type="button" class="link" onClick={resetSampling}>
        All as the model's file says
      </button>
    </section>
  );
}

function Readings() {
  const model = loaded.value;
  const now = stats.value;
  // It may have left the GPU since it was loaded.
  const device = now?.device.kind ?? model?.info.device.kind;
  const reading = current.value?.messages.flatMap((message) => message.reading ?? []).at(-1);
  return (
    <section aria-labelledby="readings">
      <h3 id="readings">Readings</h3>
      {model === null ? (
        <p class="hint">They appear with a model.</p>
      ) : (
        <>
          <dl class="readings">
            <Row label="Runs on" value={device === "gpu" ? "the graphics processor" : "the processor"} />
            <Row label="because" value={(now?.device ?? model.info.device).reason} />
            {device === model.info.device.kind && (
              <>
                <Row label="Adapter" value={model.info.adapter.name} />
                <Row label="Backend" value={`${model.info.adapter.backend}, ${model.info.adapter.type}`} />
                <Row label="Driver" value={model.info.adapter.driver} />
              </>
            )}
            <Row label="Precision" value={`${model.info.precision}, KV ${model.info.kv}`} />
            {reading && <Row label="Last answer" value={rate(reading.tokensPerSecond)} />}
            {reading && <Row label="First token" value={milliseconds(reading.ttftMs)} />}
            {reading && (
              <Row label="Prompt" value={`${count(reading.prefilledTokens)} computed, ${count(reading.promptTokens - reading.prefilledTokens)} reused`} />
            )}
            {now && (
              <>
                <Row label="Held in context" value={`${count(now.heldTokens)} of ${count(now.contextLength)}`} />
                <Row label={device === "gpu" ? "GPU memory" : "Memory"} value={bytes(now.gpuBytes)} />
                <Row label="· weights" value={bytes(now.weightBytes)} />
                <Row label="· context" value={bytes(now.kvBytes)} />
                <Row label="Engine memory" value={bytes(now.wasmBytes)} />
                <Row label="Loaded in" value={milliseconds(now.loadMs)} />
                <Row label="From network" value={bytes(now.networkBytes)} />
                <Row label="From this browser" value={bytes(now.cachedBytes)} />
                <Row label="Kernels" value={count(now.pipelines)} />
                {now.recoveries > 0 && <Row label="GPU lost and back" value={`${count(now.recoveries)} ×`} />}
              </>
            )}
          </dl>
          <button type="button" class="link" onClick={() => void unload()}>
            Unload the model
          </button>
        </>
      )}
    </section>
  );
}

function Row({ label, value }: { label: string; value: string }) {
  return value === "" ? null : (
    <div>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  );
}
