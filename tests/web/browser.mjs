// Chromium and a launcher, for the tests and for pictures. Only the loopback is spoken to, and what a page asks of
// anything else is recorded and refused.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { setPriority, tmpdir } from "node:os";
import { join, resolve } from "node:path";

const CHROMIUM = "/usr/bin/chromium";
const PLAYWRIGHT = resolve("node/dashboard/node_modules/playwright-core");
const START_MILLISECONDS = 60_000;
const FLAGS = [
  "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync",
  // There may be no GPU: then WebGL is computed.
  "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
];

/// Empty, or what is missing for a browser to be tested with.
export function missing() {
  if (!existsSync(CHROMIUM)) return `${CHROMIUM} is missing: run deploy/setup`;
  return existsSync(PLAYWRIGHT) ? "" : `${PLAYWRIGHT} is missing: run deploy/setup`;
}

/// A browser with a fresh profile that is removed at the end. `problems` collects what no page should cause. It comes
/// after the nodes, and behind them: a computed WebGL scene would take the processors that they need.
export async function openBrowser(options) {
  setPriority(15);
  const { chromium } = createRequire(import.meta.url)(PLAYWRIGHT);
  const profile = mkdtempSync(join(tmpdir(), "rse-browser-"));
  const launching = { executablePath: CHROMIUM, headless: true, args: FLAGS, ...options };
  const context = await chromium.launchPersistentContext(profile, launching);
  const problems = [];
  await context.route("**/*", (route) => {
    const { protocol, hostname } = new URL(route.request().url());
    if (protocol === "data:" || protocol === "blob:" || hostname === "127.0.0.1") return route.continue();
    problems.push(`asked for ${route.request().url()}`);
    return route.abort();
  });
  context.on("page", (page) => {
    page.on("pageerror", (error) => problems.push(`threw ${error}`));
    page.on("console", (message) => {
      // What the driver says of itself when WebGL is computed is not of the page.
      const ofDriver = message.text().includes("GPU stall");
      if (["error", "warning"].includes(message.type()) && !ofDriver) problems.push(`console: ${message.text()}`);
    });
  });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, problems, close };
}

/// deploy/three_node with live commands; `url` is of its dashboard.
export async function startLauncher(flags = []) {
  const stdio = ["pipe", "pipe", "inherit"];
  const launcher = spawn(resolve("deploy/three_node"), ["--http", "127.0.0.1:0", ...flags], { stdio });
  let said = "";
  launcher.stdout.setEncoding("utf8");
  launcher.stdout.on("data", (text) => (said = (said + text).slice(-200_000)));
  const ended = new Promise((done) => launcher.once("exit", done));
  const url = await until("the launcher names its dashboard", START_MILLISECONDS, () =>
    /^dashboard (\S+)/m.exec(said)?.[1] ?? null);
  return {
    url,
    said: () => said,
    stop: () => {
      launcher.kill("SIGTERM");
      return ended;
    },
  };
}

/// Asks until the answer is neither null nor false.
export async function until(what, milliseconds, ask) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== false && answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`after ${milliseconds} ms still not: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
