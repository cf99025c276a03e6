import { defineConfig } from "@playwright/test";
import type { Device } from "./engine/harness.ts";

/** Debian's Chromium; root needs --no-sandbox. Persistent contexts take these too. */
export const chromium = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

/** The same with WebGPU on SwiftShader, which may be lost as often as a test likes. */
export const swiftshader = {
  ...chromium,
  args: [...chromium.args, "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--disable-gpu-process-crash-limit", "--disable-domain-blocking-for-3d-apis"],
};

export default defineConfig<Device>({
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
  use: { trace: "off", screenshot: "off", video: "off" },
  // Without a tag: on the CPU only, which is much faster than SwiftShader. `@gpu`: what is about the GPU. `@both`: on each.
  // `@threads`: on the CPU's threads too, in a page that may share memory; `@isolated`: there only.
  projects: [
    { name: "gpu", grep: /@gpu|@both/, use: { launchOptions: swiftshader, device: "gpu" } },
    { name: "cpu", grepInvert: /@gpu|@isolated/, use: { launchOptions: chromium, device: "auto" } },
    { name: "threads", grep: /@threads|@isolated/, use: { launchOptions: chromium, device: "auto", isolated: true } },
  ],
});
