import { bytes, count, duration, percent } from "../format.js";
import { cancel, type Pick, type Stages } from "../state/model.js";

type Loading = Extract<Pick, { phase: "loading" }>;

interface Bar {
  label: string;
  /** Null: not begun. */
  share: number | null;
  detail: string;
}

function downloadBar(stage: Stages["download"], fromFile: boolean): Bar {
  const label = fromFile ? "Read" : "Download";
  if (stage === null) {
    return { label, share: null, detail: "Reading the header" };
  }
  const { loaded, total, cached, bytesPerSecond } = stage;
  const share = percent(loaded, total);
  const amount = `${bytes(loaded)} of ${bytes(total)}`;
  if (loaded >= total) {
    return { label, share, detail: cached >= total ? `${bytes(total)}, from this browser` : bytes(total) };
  }
  const speed = bytesPerSecond > 0 ? ` · ${bytes(bytesPerSecond)}/s · ${duration((total - loaded) / bytesPerSecond)} left` : "";
  return { label, share, detail: amount + speed };
}

function barsOf({ stages, choice }: Loading): Bar[] {
  const { upload, compile } = stages;
  return [
    downloadBar(stages.download, choice.kind === "file"),
    {
      label: "Put the weights in place",
      share: upload === null ? null : percent(upload.loaded, upload.total),
      detail: upload === null ? "" : `${bytes(upload.loaded)} of ${bytes(upload.total)}`,
    },
    {
      label: "Compile kernels",
      share: compile === null ? null : percent(compile.loaded, compile.total),
      detail: compile === null ? "" : `${count(compile.loaded)} of ${count(compile.total)}`,
    },
  ];
}

/** One bar per stage: they run side by side. */
export function Progress({ loading }: { loading: Loading }) {
  return (
    <section class="progress" aria-label={`Loading ${loading.choice.label}`}>
      {barsOf(loading).map(({ label, share, detail }) => (
        <div class="stage" key={label}>
          <span class="stage-label">{label}</span>
          <span class="stage-detail">{detail}</span>
          <div
            class="bar"
            role="progressbar"
            aria-label={label}
            aria-valuemin={0}
            aria-valuemax={100}
            aria-valuenow={share === null ? undefined : Math.round(share)}
            aria-valuetext={detail === "" ? "waiting" : detail}
          >
            <span style={{ transform: `scaleX(${(share ?? 0) / 100})` }} />
          </div>
        </div>
      ))}
      <p class="buttons">
        <button type="button" class="button" onClick={cancel}>
          Cancel
        </button>
        {loading.choice.kind === "url" && <span class="quiet">What has arrived is kept; the next attempt goes on from there.</span>}
      </p>
    </section>
  );
}
