// Packs the built package, as `npm publish` would, into build/.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Path of the tarball. */
export function pack() {
  if (!existsSync(join(root, "dist/worker.js"))) {
    console.error("pkg/dist is missing: run `npm run build -w pkg` first");
    process.exit(1);
  }
  const into = join(root, "build/pack");
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--pack-destination", into], { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
  return join(into, filename);
}

/** Unpacks the tarball as node_modules/wasm-chord of a folder. */
export function install(tarball, folder) {
  const into = join(folder, "node_modules/wasm-chord");
  mkdirSync(into, { recursive: true });
  execFileSync("tar", ["-xzf", tarball, "--strip-components=1", "-C", into]);
}
