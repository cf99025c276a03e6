import { defineConfig } from "vite";

export default defineConfig({
  // The development server would move the package's script away from its worker.
  optimizeDeps: { exclude: ["wasm-chord"] },
});
