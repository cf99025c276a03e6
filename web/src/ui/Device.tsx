import type { DeviceInfo } from "wasm-chord";

/** What most often keeps a page from the graphics processor. */
const STEPS = [
  "Chrome or Edge 113, Safari 26, Firefox 141 (Windows) or 145 (macOS with Apple silicon), or later.",
  "Hardware (graphics) acceleration switched on in the browser's settings, and a current graphics driver.",
  "On Linux, Chrome may want chrome://flags/#enable-unsafe-webgpu switched on.",
  "Not in a virtual machine or over remote desktop, where there is often no graphics processor.",
];

/** Nothing where a model runs on the graphics processor; else why it does not, and what would change that. */
export function OnProcessor({ device }: { device: DeviceInfo }) {
  if (device.kind === "gpu") {
    return null;
  }
  return (
    <details class="on-processor">
      <summary>It runs on the processor, which is slower than a graphics processor: {device.reason}.</summary>
      <p>What a graphics processor needs:</p>
      <ul class="steps">
        {STEPS.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ul>
    </details>
  );
}

/** Where the browser gives pages neither storage nor graphics. */
export function Insecure() {
  return (
    <section class="sheet" aria-labelledby="insecure">
      <h1 id="insecure">This page needs a secure address</h1>
      <p class="lead">Browsers keep models and conversations only for pages that are served over https, or from this computer (localhost).</p>
      <ul class="steps">
        <li>Open this page by its https:// address.</li>
        <li>Serving it yourself? Open http://localhost instead of the computer's name or number.</li>
      </ul>
    </section>
  );
}
