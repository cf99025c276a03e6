import { signal } from "@preact/signals";
import { bytes, modelLabel } from "../format.js";
import { SUGGESTIONS } from "../models.js";
import { cached, dropCached, type CacheEntry } from "../state/cached.js";
import { addressOf, choiceOfFiles, choiceOfUrl } from "../state/choice.js";
import { last, loaded, plan, reopen } from "../state/model.js";
import { Icon } from "./Icon.js";

const address = signal("");
const addressProblem = signal("");
/** The last model was a file, and the browser no longer gives it. */
const fileGone = signal(false);

function check(event: SubmitEvent): void {
  event.preventDefault();
  const url = addressOf(address.peek());
  if (url === null) {
    addressProblem.value = "This is not an address: it begins with https://, or hf:owner/repository/file.gguf for Hugging Face.";
    return;
  }
  addressProblem.value = "";
  void plan(choiceOfUrl(url));
}

function takeFiles(input: HTMLInputElement): void {
  const choice = choiceOfFiles([...(input.files ?? [])]);
  if (choice !== null) {
    void plan(choice);
  }
  // The same files can be chosen again.
  input.value = "";
}

export function ModelPicker() {
  return (
    <div class="picker">
      <LastModel />
      <Kept />
      <section aria-labelledby="suggested">
        <h2 id="suggested">Suggestions</h2>
        <ul class="models">
          {SUGGESTIONS.map(({ label, note, bytes: size, url }) => (
            <li key={url}>
              <button type="button" class="model-card" onClick={() => void plan(choiceOfUrl(new URL(url, location.href).href, label))}>
                <span class="model-card-name">{label}</span>
                <span class="model-card-size">{bytes(size)}</span>
                <span class="model-card-note">{note}</span>
              </button>
            </li>
          ))}
        </ul>
      </section>
      <section aria-labelledby="own">
        <h2 id="own">Your own</h2>
        <label class="drop">
          <input type="file" class="unseen" accept=".gguf" multiple onChange={(event) => takeFiles(event.currentTarget)} />
          <Icon name="file" />
          <span>
            <strong>Choose a GGUF file</strong> (all parts of a split one) or drop it anywhere on this page
          </span>
        </label>
        <form class="address" onSubmit={check} noValidate>
          <label class="unseen" for="address">
            Address of a GGUF file
          </label>
          <input
            id="address"
            class="field"
            type="text"
            inputMode="url"
            autocomplete="off"
            spellcheck={false}
            placeholder="https://…/model.gguf"
            value={address.value}
            aria-invalid={addressProblem.value !== ""}
            aria-describedby="address-problem"
            onInput={(event) => (address.value = event.currentTarget.value)}
          />
          <button type="submit" class="button">
            Check
          </button>
          <p id="address-problem" class="field-problem" role="alert">
            {addressProblem.value}
          </p>
        </form>
      </section>
    </div>
  );
}

async function openLast(): Promise<void> {
  const opened = await reopen();
  fileGone.value = !opened && last.peek()?.kind === "file" && loaded.peek() === null;
}

/** One click to the model of the last visit. */
function LastModel() {
  const model = last.value;
  if (model === null || loaded.value !== null) {
    return null;
  }
  if (model.kind === "file" && (model.handle === null || fileGone.value)) {
    return (
      <p class="card last">
        Last time: <strong>{model.label}</strong>. Browsers do not keep access to files: please choose or drop it again.
      </p>
    );
  }
  return (
    <section class="card last" aria-label="Last model">
      <span>
        Last time: <strong>{model.label}</strong>
      </span>
      <button type="button" class="button primary" onClick={() => void openLast()}>
        Load it again
      </button>
    </section>
  );
}

function share(entry: CacheEntry): string {
  const whole = entry.size === null ? "" : ` of ${bytes(entry.size)}`;
  return entry.complete ? bytes(entry.cachedBytes) : `${bytes(entry.cachedBytes)}${whole}, incomplete`;
}

function Kept() {
  if (cached.value.length === 0) {
    return null;
  }
  return (
    <section aria-labelledby="kept">
      <h2 id="kept">In this browser</h2>
      <ul class="kept">
        {cached.value.map((entry) => (
          <li key={entry.url}>
            <button type="button" class="kept-open" title={entry.url} onClick={() => void plan(choiceOfUrl(entry.url))}>
              <span>{modelLabel(entry.url)}</span>
              <span class="quiet">{share(entry)}</span>
            </button>
            <button
              type="button"
              class="icon-button small"
              aria-label={`Delete ${modelLabel(entry.url)} from this browser`}
              onClick={() => void dropCached(entry.url)}
            >
              <Icon name="trash" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
