import { defineConfig } from "@playwright/test";

/** Debian's Chromium with WebGPU on SwiftShader; root needs --no-sandbox. Persistent contexts take these too. */
export const chromium = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu-process-crash-limit",
    "--disable-domain-blocking-for-3d-apis",
  ],
};

export default defineConfig({
  testDir: ".",
  outputDir: "output",
  // Each with a server and a browser of its own; a load compiles kernels on one core most of its time.
  workers: 2,
  fullyParallel: false,
  forbidOnly: true,
  retries: 0,
  // A token takes up to a second on SwiftShader.
  timeout: 300_000,
  expect: { timeout: 60_000 },
  // What is wrong everywhere is said soon, not after every test has waited for it.
  maxFailures: 5,
  globalTimeout: 30 * 60_000,
  reporter: "list",
  use: { launchOptions: chromium, trace: "off", screenshot: "off", video: "off" },
  projects: [{ name: "chromium" }],
});
