import type { Support } from "../state/device.js";
import { support } from "../state/device.js";

const TEXTS: Record<Exclude<Support, "ok" | "unknown">, { title: string; lead: string; steps: string[] }> = {
  insecure: {
    title: "This page needs a secure address",
    lead: "Browsers give WebGPU only to pages that are served over https, or from this computer (localhost).",
    steps: ["Open this page by its https:// address.", "Serving it yourself? Open http://localhost instead of the computer's name or number."],
  },
  "no-webgpu": {
    title: "This browser has no WebGPU",
    lead: "The model runs on your own graphics processor, and the browser's way to it is WebGPU.",
    steps: [
      "Chrome or Edge 113 or later, on Windows, macOS, Linux or Android 12 and later.",
      "Safari 26 or later, on macOS, iPhone and iPad.",
      "Firefox 141 or later on Windows, 145 or later on macOS with Apple silicon.",
      "On Linux, Chrome may want chrome://flags/#enable-unsafe-webgpu switched on.",
    ],
  },
  "no-adapter": {
    title: "No usable GPU was found",
    lead: "This browser has WebGPU, and gives no graphics processor to it.",
    steps: [
      "Switch on hardware (graphics) acceleration in the browser's settings, then restart it.",
      "Update the graphics driver; chrome://gpu says what the browser thinks of it.",
      "In a virtual machine or over remote desktop there is often no GPU: try on the computer itself.",
    ],
  },
};

/** For browsers that cannot run a model: why, and what to do. */
export function NoWebGpu() {
  const state = support.value;
  if (state === "ok" || state === "unknown") {
    return null;
  }
  const { title, lead, steps } = TEXTS[state];
  return (
    <section class="sheet" aria-labelledby="no-webgpu">
      <h1 id="no-webgpu">{title}</h1>
      <p class="lead">{lead}</p>
      <ul class="steps">
        {steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ul>
      <p>
        <button type="button" class="button primary" onClick={() => location.reload()}>
          Check again
        </button>
      </p>
    </section>
  );
}
