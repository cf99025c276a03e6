import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Plugin } from "vite";

/**
 * Writes into the built `sw.js` what it keeps for offline use: every file of the build, and a version that changes with any
 * of them. It reads the finished folder, so files from `public/` and the package's worker and wasm are in it too.
 */
export function precache(): Plugin {
  let folder = "";
  return {
    name: "precache",
    apply: "build",
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      const script = join(folder, "sw.js");
      const files = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1).replaceAll("\\", "/"))
        .filter((name) => name !== "sw.js")
        .sort();
      const hash = createHash("sha256");
      for (const name of files) {
        hash.update(name).update(readFileSync(join(folder, name)));
      }
      const code = readFileSync(script, "utf8");
      hash.update(code);
      const filled = code.replace("__VERSION__", hash.digest("hex").slice(0, 16)).replace(/["'`]__FILES__["'`]/, JSON.stringify(JSON.stringify(files)));
      if (filled.includes("__VERSION__") || filled.includes("__FILES__")) {
        throw new Error("sw.js has no place for its version or its list of files");
      }
      writeFileSync(script, filled);
    },
  };
}
