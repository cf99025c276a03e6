import { defineConfig } from "vite";

export default defineConfig({
  // Before version 8 the development server moves the package's script away from its worker.
  optimizeDeps: { exclude: ["wasm-chord"] },
});
