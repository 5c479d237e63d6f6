// browsers failovers|memory|page: what open pages cost. A client does what a page does, without drawing: one stream of
// events, the cells of three tori, processes now and then.
//   failovers [--pairs N] [--clients N]   kills nodes in turn, by pairs: once with the clients, once without; compares
//   memory [--minutes N] [--clients N]    one node under clients that come and go: its resident memory each minute. It
//                                         runs nothing else: what a busy node records of its run (up to its bounds)
//                                         would hide what pages cost
//   page [--minutes N]                    one page in Chromium left open over three nodes: their memory, load and
//                                         speed, and the page's heap
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, get } from "node:http";
import { setPriority, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { findFailovers } from "../../node/dashboard/failover.mjs";
import { startLauncher, until } from "./browser.mjs";
import { authorizationOf, freePort, megabytes, quantile, residentBytes, sleep, stateOf } from "./measure.mjs";
import { pageLeftOpen } from "./page_left_open.mjs";

const STATE_MILLISECONDS = 60_000;
const SETTLE_MILLISECONDS = 1_500; // after the clients have come or gone, before the kill
const CELLS_MILLISECONDS = 400; // as the page asks
const PROCESSES_MILLISECONDS = 3_000;
const RETRY_MILLISECONDS = 1_000;
const STAY_MILLISECONDS = 20_000; // of a client of `memory`
const CLIENT_PRIORITY = 15; // what the clients compute themselves is not what is measured: their machines are elsewhere

/// One page's worth of requests, until close(); counts what it was given.
function openClient(origin) {
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  let events = 0;
  let streams = 0;
  let closed = false;
  let stream;
  const listen = () => {
    if (closed) return;
    ++streams;
    stream = get(`${origin}/api/v1/events`, (answer) =>
      answer.on("data", (bytes) => (events += bytes.includes("event: state") ? 1 : 0)));
    stream.on("error", () => {}); // "close" comes too
    stream.on("close", () => setTimeout(listen, RETRY_MILLISECONDS)); // as a browser does
  };
  listen();
  const poll = (path, period) => {
    const ask = () => {
      if (closed) return;
      const request = get(`${origin}${path}`, { agent }, (answer) =>
        answer.resume().on("end", () => setTimeout(ask, period)));
      request.on("error", () => setTimeout(ask, period));
    };
    ask();
  };
  for (const torus of [0, 1, 2]) poll(`/api/v1/cells?torus=${torus}`, CELLS_MILLISECONDS);
  poll("/api/v1/processes?torus=0", PROCESSES_MILLISECONDS);
  return {
    events: () => events,
    streams: () => streams,
    close: () => {
      closed = true;
      stream.destroy();
      agent.destroy();
    },
  };
}

async function openClients(origin, count) {
  const clients = Array.from({ length: count }, () => openClient(origin));
  await until("every client has an event", STATE_MILLISECONDS, () => clients.every((client) => client.events() > 0));
  return clients;
}

/// Kills `victim` and brings it back; milliseconds from the first sign of its death to the first new epoch of what it
/// hosted.
async function killOnce(launcher, victim) {
  const { origin } = new URL(launcher.url);
  const headers = authorizationOf(launcher.url);
  const names = new Map(); // of who is there before the kill: afterwards, no view names the dead
  const whole = async () => {
    const { nodes } = await stateOf(origin);
    for (const { node, name } of nodes.flatMap((one) => one.view.members)) names.set(node, name);
    const hosts = new Set(nodes[0]?.view.hosts);
    return nodes.length === 3 && hosts.size === 3 && nodes.every((node) => node.health === "HEALTHY");
  };
  await until("the cluster is whole", STATE_MILLISECONDS, whole);
  await sleep(SETTLE_MILLISECONDS);
  const from = Date.now();
  await fetch(`${origin}/api/v1/kill?node=${victim}`, { method: "POST", headers });
  const took = await until("the torus runs again", STATE_MILLISECONDS, async () => {
    const { nodes } = await stateOf(origin);
    // Of earlier deaths only who hosted what counts: the dead one's own word of its return is gone with it.
    const counts = (one) => one.kind === "VIEW_INSTALLED" || BigInt(one.unix_nanoseconds) / 1_000_000n >= BigInt(from);
    const byTime = (a, b) => Number(BigInt(a.unix_nanoseconds) - BigInt(b.unix_nanoseconds));
    const incidents = nodes.flatMap((node) => node.incidents).filter(counts).sort(byTime);
    const stories = findFailovers(incidents, (node) => names.get(node) ?? node);
    return stories.find((story) => story.ends[4] !== undefined)?.ends[4];
  });
  await fetch(`${origin}/api/v1/restart?node=${victim}`, { method: "POST", headers });
  return took;
}

async function failovers(pairs, count) {
  const launcher = await startLauncher();
  setPriority(CLIENT_PRIORITY);
  const { origin } = new URL(launcher.url);
  const times = { without: [], with: [] };
  let again = 0; // streams that a client had to open again
  try {
    for (let pair = 0; pair < pairs; ++pair) {
      const order = pair % 2 === 0 ? ["without", "with"] : ["with", "without"];
      for (const kind of order) {
        const clients = kind === "with" ? await openClients(origin, count) : [];
        times[kind].push(await killOnce(launcher, "abc"[pair % 3]));
        for (const client of clients) {
          again += client.streams() - 1;
          client.close();
        }
      }
      console.log(`pair ${pair + 1} of ${pairs}, node ${"abc"[pair % 3]}: ` +
        `${times.without[pair].toFixed(1)} ms without, ${times.with[pair].toFixed(1)} ms with ${count} clients`);
    }
    for (const kind of ["without", "with"]) {
      const [low, middle, high] = [0.1, 0.5, 0.9].map((share) => quantile(times[kind], share).toFixed(1));
      console.log(`${kind}: median ${middle} ms, 10 % ${low} ms, 90 % ${high} ms`);
    }
    const differences = times.with.map((value, pair) => value - times.without[pair]);
    const slower = differences.filter((difference) => difference > 0).length;
    console.log(`median of the differences ${quantile(differences, 0.5).toFixed(1)} ms, ` +
      `slower with clients in ${slower} of ${pairs} pairs; ${again} streams opened again`);
  } finally {
    await launcher.stop();
  }
}

async function memory(minutes, count) {
  const directory = mkdtempSync(join(tmpdir(), "rse-memory-"));
  const control = join(directory, "control");
  const port = await freePort();
  const node = spawn(resolve("node/rse-node"), [
    "--name", "solo", "--found", "--insecure", "--listen", "127.0.0.1:" + port, "--beacon=false", "--log", "warning",
    "--control", control, "--data-dir", join(directory, "data"), "--http", "127.0.0.1:0",
  ], { stdio: ["ignore", "ignore", "inherit"] });
  const ended = new Promise((done) => node.once("exit", done));
  const clients = [];
  try {
    const file = join(directory, "data", "dashboard-url");
    const url = await until("the node serves its page", STATE_MILLISECONDS, () =>
      existsSync(file) && readFileSync(file, "utf8").trim());
    const { origin } = new URL(url);
    setPriority(CLIENT_PRIORITY);
    const begun = Date.now();
    let come = 0;
    const samples = [];
    for (let minute = 1; minute <= minutes; ++minute) {
      while (Date.now() < begun + minute * 60_000) {
        while (clients.length < count) {
          clients.push(openClient(origin));
          ++come;
        }
        await sleep(STAY_MILLISECONDS / count);
        clients.shift().close();
      }
      samples.push(residentBytes(node.pid));
      console.log(`minute ${minute}: ${megabytes(samples.at(-1))} MB resident, ${come} pages opened`);
    }
    const half = samples.slice(Math.floor(samples.length / 2));
    const range = `${megabytes(Math.min(...half))} to ${megabytes(Math.max(...half))} MB`;
    console.log(`second half: ${range}, last minus first ${megabytes(half.at(-1) - half[0])} MB`);
  } finally {
    clients.forEach((client) => client.close());
    node.kill("SIGTERM");
    await ended;
    rmSync(directory, { recursive: true, force: true });
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pairs: { type: "string", default: "12" },
    clients: { type: "string", default: "50" },
    minutes: { type: "string", default: "10" },
  },
});
if (positionals[0] === "failovers") await failovers(Number(values.pairs), Number(values.clients));
else if (positionals[0] === "memory") await memory(Number(values.minutes), Number(values.clients));
else if (positionals[0] === "page") await pageLeftOpen(Number(values.minutes));
else {
  console.error("usage: browsers failovers|memory|page [--pairs N] [--clients N] [--minutes N]");
  process.exit(2);
}
