// One page in Chromium, left open: whether nodes under a steady load, or the page itself, grow or slow down with time.
// Node a serves the page, b and c serve none: what all three do is of the load, what a alone does is of the page. Some
// minutes before and after, no page is open. The load is paced by injections: at full speed, a slower node would hide
// behind whatever else the machine does.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { missing, openBrowser, until } from "./browser.mjs";
import { authorizationOf, freePort, median, megabytes, residentBytes, sleep, stateOf } from "./measure.mjs";

const STATE_MILLISECONDS = 60_000;
const MINUTE_MILLISECONDS = 60_000;
const ALONE_MINUTES = 3; // without a page, before and after
const INJECTION_MILLISECONDS = 200;
const RING = 64; // cells of each torus, along y and z of the layer x = 5
const HOPS = 4000; // events that an injection becomes
const CLOCK_TICKS = 100; // a second, in /proc
const VIEWPORT = { width: 640, height: 480 };
const COARSEST = "&detail=3"; // where WebGL is computed, a finer scene takes the processors of whatever else runs

const ringCell = (index) => ({ x: 5, y: Math.floor((index % RING) / 8) * 4, z: (index % 8) * 4 });

/// A ring of relays on each torus, on which an injection runs until it has hopped often enough.
function scenario() {
  const cell = (torus, index) => {
    const { x, y, z } = ringCell(index);
    return `{ torus: ${torus} x: ${x} y: ${y} z: ${z} }`;
  };
  const lines = ["A", "B", "C"].flatMap((torus) => Array.from({ length: RING }, (_, index) =>
    `relay { cell ${cell(torus, index)} max_payload: ${HOPS} }\n` +
    `edge { from ${cell(torus, index)} to ${cell(torus, index + 1)} delay: 3 }\n`));
  return `epoch_ticks: 1000\n${lines.join("")}`;
}

class Node {
  constructor(name, directory, flags) {
    this.name = name;
    this.control = join(directory, `${name}.sock`);
    this.data = join(directory, name);
    this.process = spawn(resolve("node/rse-node"), [
      "--name", name, "--insecure", "--beacon=false", "--log", "error", "--control", this.control,
      "--data-dir", this.data, ...flags,
    ], { stdio: ["ignore", "ignore", "inherit"] });
    this.ended = new Promise((done) => this.process.once("exit", done));
  }
  residentBytes() {
    return residentBytes(this.process.pid);
  }
  cpuSeconds() {
    const fields = readFileSync(`/proc/${this.process.pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
  }
  stop() {
    this.process.kill("SIGTERM");
    return this.ended;
  }
}

const statusOfA = async (url) =>
  (await stateOf(new URL(url).origin)).nodes.find((node) => node.self.name === "a");

/// Fills `nodes` with three under the scenario; answers with the address of the page that the first serves.
async function startNodes(nodes, directory) {
  const address = `127.0.0.1:${await freePort()}`;
  nodes.push(new Node("a", directory, ["--found", "--listen", address, "--http", "127.0.0.1:0"]));
  const file = join(nodes[0].data, "dashboard-url");
  const url = await until("node a serves its page", STATE_MILLISECONDS, () =>
    existsSync(file) && readFileSync(file, "utf8").trim());
  for (const name of ["b", "c"])
    nodes.push(new Node(name, directory, ["--listen", `127.0.0.1:${await freePort()}`, "--peer", address]));
  await until("each node hosts a torus", STATE_MILLISECONDS, async () => {
    const status = await statusOfA(url);
    return status?.health === "HEALTHY" && new Set(status.view.hosts).size === 3;
  });
  const text = join(directory, "load.textproto");
  writeFileSync(text, scenario());
  execFileSync(resolve("node/rse"), ["load", text, "--control", nodes[0].control]);
  return url;
}

/// Injections at a steady pace, and how long the acknowledgement of each took.
class Load {
  constructor(url) {
    this.target = `${new URL(url).origin}/api/v1/inject`;
    this.headers = authorizationOf(url);
    this.times = [];
    this.running = true;
    this.ended = this.run();
  }
  async run() {
    for (let turn = 0; this.running; ++turn) {
      const from = performance.now();
      const { x, y, z } = ringCell(turn);
      const body = JSON.stringify({ torus: turn % 3, dst: x * 1024 + y * 32 + z, payload: 1 });
      const answer = await fetch(this.target, { method: "POST", headers: this.headers, body });
      if (!answer.ok) throw new Error(`an injection is refused: ${await answer.text()}`);
      await answer.arrayBuffer();
      this.times.push(performance.now() - from);
      await sleep(Math.max(0, INJECTION_MILLISECONDS - (performance.now() - from)));
    }
  }
  /// Median of those since the last question.
  take() {
    return median(this.times.splice(0));
  }
  stop() {
    this.running = false;
    return this.ended;
  }
}

/// After a collection: bytes of the heap, nodes of the document, listeners.
async function pageSizes(inspector) {
  await inspector.send("HeapProfiler.collectGarbage");
  const { usedSize } = await inspector.send("Runtime.getHeapUsage");
  const { nodes, jsEventListeners } = await inspector.send("Memory.getDOMCounters");
  return { heap: usedSize, nodes, listeners: jsEventListeners };
}

/// Medians of some minutes, in one line.
function sentence(samples) {
  const of = (pick) => median(samples.map(pick));
  const nodes = ["a", "b", "c"].map((name, index) =>
    `${name} ${megabytes(of((one) => one.resident[index]))} MB ${of((one) => one.share[index]).toFixed(1)} %`);
  const page = samples[0].page
    ? `; page ${megabytes(of((one) => one.page.heap))} MB, ` +
      `${of((one) => one.page.nodes)} nodes, ${of((one) => one.page.listeners)} listeners`
    : "";
  const rate = of((one) => one.rate).toFixed(1);
  return `${nodes.join(", ")}; ${rate} epochs/s; injection ${of((one) => one.injection).toFixed(1)} ms${page}`;
}

/// One line a minute; answers with what was measured in each. `inspector`: of the page, if one is open.
async function watchMinutes(minutes, { nodes, url, load, said, inspector }) {
  const look = async () => ({
    at: performance.now(),
    epochs: Number((await statusOfA(url)).tori[0].epoch),
    cpu: nodes.map((node) => node.cpuSeconds()),
  });
  const samples = [];
  let before = await look();
  load.take();
  for (let minute = 1; minute <= minutes; ++minute) {
    await Promise.race([sleep(MINUTE_MILLISECONDS), load.ended]);
    const now = await look();
    const seconds = (now.at - before.at) / 1000;
    samples.push({
      resident: nodes.map((node) => node.residentBytes()),
      share: nodes.map((_, index) => (100 * (now.cpu[index] - before.cpu[index])) / seconds),
      rate: (now.epochs - before.epochs) / seconds,
      injection: load.take(),
      page: inspector ? await pageSizes(inspector) : undefined,
    });
    before = now;
    console.log(`${said}, minute ${minute}: ${sentence(samples.slice(-1))}`);
  }
  return samples;
}

export async function pageLeftOpen(minutes) {
  const problem = missing();
  if (problem) throw new Error(problem);
  const directory = mkdtempSync(join(tmpdir(), "rse-page-"));
  const nodes = [];
  let load;
  let browser;
  try {
    const url = await startNodes(nodes, directory);
    load = new Load(url);
    const common = { nodes, url, load };
    const before = await watchMinutes(ALONE_MINUTES, { ...common, said: "no page" });
    const executablePath = resolve("tests/web/chromium_behind.sh");
    browser = await openBrowser({ executablePath, viewport: VIEWPORT, colorScheme: "dark" });
    const page = await browser.context.newPage();
    await page.goto(url + COARSEST);
    const verdict = () => page.locator(".verdict h1").innerText();
    await until("the verdict is there", STATE_MILLISECONDS, async () => /Healthy/.test(await verdict()));
    const inspector = await browser.context.newCDPSession(page);
    const open = await watchMinutes(minutes, { ...common, said: "page open", inspector });
    console.log(`the page says at the end: ${await verdict()}`);
    for (const what of browser.problems) console.log(`the page ${what}`);
    await browser.close();
    browser = undefined;
    const after = await watchMinutes(ALONE_MINUTES, { ...common, said: "no page again" });
    const part = Math.max(1, Math.floor(minutes / 6));
    console.log(`medians\nno page: ${sentence(before)}`);
    console.log(`page open, first ${part} minutes: ${sentence(open.slice(0, part))}`);
    console.log(`page open, last ${part} minutes: ${sentence(open.slice(-part))}`);
    console.log(`no page again: ${sentence(after)}`);
  } finally {
    await browser?.close();
    await load?.stop();
    await Promise.all(nodes.map((node) => node.stop()));
    rmSync(directory, { recursive: true, force: true });
  }
}
