import preact from "@preact/preset-vite";
import { defineConfig } from "vite";
import { precache } from "./build/precache.ts";

// What lets workers share memory: threads for a model on the processor.
const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

export default defineConfig({
  // Relative addresses: the built folder works under any path.
  base: "./",
  plugins: [preact({ prefreshEnabled: false, devToolsEnabled: false }), precache()],
  worker: { format: "es" },
  server: { headers },
  preview: { headers },
  // The package finds its worker and its wasm beside its own file, which pre-bundling would move.
  optimizeDeps: { exclude: ["wasm-chord"] },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: "index.html", sw: "src/sw.ts" },
      output: { entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
});
