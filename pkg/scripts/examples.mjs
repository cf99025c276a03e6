// Builds the examples against the packed tarball, opens each in Chromium and drops a file that is no model: the answer comes
// from the engine, so page, worker and wasm have all been found. The plain page also runs with the package on another origin.
import { spawnSync } from "node:child_process";
import { cpSync, createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";
import { chromium } from "@playwright/test";
import { install, pack, root } from "./pack.mjs";

const require = createRequire(import.meta.url);
const MIME = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm", ".css": "text/css" };
const NO_MODEL = { name: "no-model.gguf", mimeType: "application/octet-stream", buffer: Buffer.from("this is no model at all".repeat(100)) };

/** Runs a tool of the workspace in a folder. */
function tool(name, script, args, cwd) {
  const { status } = spawnSync(process.execPath, [join(dirname(require.resolve(`${name}/package.json`)), script), ...args], { cwd, stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) {
    throw new Error(`${name} failed in ${cwd}`);
  }
}

const builds = {
  vite(folder) {
    tool("typescript", "bin/tsc", ["-p", "."], folder);
    tool("vite", "bin/vite.js", ["build", "--logLevel", "warn"], folder);
    return join(folder, "dist");
  },
  webpack(folder) {
    tool("webpack", "bin/webpack.js", ["--mode", "production", "--stats", "errors-warnings"], folder);
    cpSync(join(folder, "index.html"), join(folder, "dist/index.html"));
    return join(folder, "dist");
  },
  plain(folder) {
    cpSync(join(folder, "node_modules/wasm-chord/dist"), join(folder, "wasm-chord"), { recursive: true });
    return folder;
  },
};

function serve(folder) {
  const server = createServer((request, response) => {
    const path = join(folder, normalize(decodeURIComponent(new URL(request.url, "http://x").pathname)));
    const file = existsSync(path) && statSync(path).isDirectory() ? join(path, "index.html") : path;
    if (!existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "Access-Control-Allow-Origin": "*", "Content-Type": MIME[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

async function answerInPage(browser, folder) {
  const server = await serve(folder);
  const page = await browser.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  try {
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.setInputFiles("#file", NO_MODEL);
    await page.waitForFunction(() => /^E_/.test(document.querySelector("#out").textContent), null, { timeout: 60_000 });
    return await page.textContent("#out");
  } catch (error) {
    throw new Error(`${error.message}\nThe page said: ${said.join("\n") || "nothing"}; #out: ${await page.textContent("#out")}`);
  } finally {
    await page.close();
    server.closeAllConnections();
    server.close();
  }
}

const tarball = pack();
const work = join(root, "build/examples");
rmSync(work, { recursive: true, force: true });
const browser = await chromium.launch({
  ...(existsSync("/usr/bin/chromium") && { executablePath: "/usr/bin/chromium" }),
  args: ["--no-sandbox", "--disable-quic", "--no-first-run"],
});
let failures = 0;

/** An example's copy, with the package installed. */
function copyOf(example, name = example) {
  const folder = join(work, name);
  mkdirSync(folder, { recursive: true });
  cpSync(join(root, "examples", example), folder, { recursive: true, filter: (path) => !/node_modules|\/dist$/.test(path.slice(root.length)) });
  install(tarball, folder);
  return folder;
}

async function expectEngine(name, folder) {
  try {
    const answer = await answerInPage(browser, folder());
    if (!answer.startsWith("E_BAD_MAGIC:")) {
      throw new Error(answer);
    }
    console.log(`ok ${name}: ${answer.split("\n")[0]}`);
  } catch (error) {
    failures += 1;
    console.error(`not ok ${name}: ${error.message}`);
  }
}

for (const name of readdirSync(join(root, "examples"))) {
  await expectEngine(name, () => builds[name](copyOf(name)));
}

const cdn = await serve(join(copyOf("plain", "cdn"), "node_modules/wasm-chord/dist"));
await expectEngine("plain, from another origin", () => {
  const main = join(work, "cdn/main.js");
  writeFileSync(main, readFileSync(main, "utf8").replace("./wasm-chord/", `http://127.0.0.1:${cdn.address().port}/`));
  return join(work, "cdn");
});
cdn.closeAllConnections();
cdn.close();
await browser.close();
process.exit(failures === 0 ? 0 : 1);
