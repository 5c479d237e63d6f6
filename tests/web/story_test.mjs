// The page's own reasoning, without a browser: deaths out of incidents, and memory that stays bounded.
import assert from "node:assert/strict";
import { findFailovers, tell } from "../../node/dashboard/failover.mjs";
import { Series } from "../../node/dashboard/series.mjs";
import { Store } from "../../node/dashboard/store.mjs";

const NAMES = { 1: "a", 2: "b", 3: "c" };
const nameOf = (node) => NAMES[node];
const incident = (milliseconds, kind, node, rest = {}) => ({
  kind, node, text: "", epoch: "0", at_nanoseconds: "0", by: "0",
  unix_nanoseconds: String(BigInt(Math.round(milliseconds * 1000)) * 1000n), ...rest,
});
const view = (milliseconds, text) => incident(milliseconds, "VIEW_INSTALLED", "1", { text });
const rebuild = (torus, node, begin) => [
  incident(begin, "REBUILD_STARTED", node, { torus }),
  incident(begin + 10, "REBUILD_REPLAYING", node, { torus }),
  incident(begin + 20, "REBUILT", node, { torus }),
  incident(begin + 30, "FIRST_EPOCH", node, { torus }),
];
const death = [
  view(1000, "view 8: A on a B on c C on b"),
  incident(2000, "PEER_SUSPECTED", "2"),
  incident(2005, "PEER_LOST", "2", { text: "b has died" }),
  incident(2006, "PEER_LOST", "2", { text: "b has died" }),
  view(2020, "view 9: A on a B on c C on a"),
];

{
  const [story, ...others] = findFailovers([...death, ...rebuild(2, "1", 2025)], nameOf);
  assert.equal(others.length, 0, "two witnesses of one death make one story");
  assert.deepEqual(story.ends, [5, 20, 35, 45, 55]);
  assert.equal(tell(story, nameOf), "b died. Torus C grew back on a in 55 ms, bit for bit; nothing was lost.");
}
{
  const withdrawn = [incident(1500, "PEER_SUSPECTED", "2"), incident(1600, "PEER_HEARD_AGAIN", "2")];
  const [story] = findFailovers([death[0], ...withdrawn, ...death.slice(1), ...rebuild(2, "1", 2025)], nameOf);
  assert.equal(story.begunMilliseconds, 2000, "a suspicion that was withdrawn is not the beginning");
}
{
  const [story] = findFailovers([...death, ...rebuild(0, "3", 2022)], nameOf);
  assert.deepEqual(story.tori, [], "a torus that the dead node did not host is another story");
  assert.equal(tell(story, nameOf), "b died. Torus C grows back on a, bit for bit.");
}
{
  const [story] = findFailovers(death.slice(0, 4), nameOf);
  assert.equal(tell(story, nameOf), "b died, and took torus C with it.");
  const [unknown] = findFailovers(death.slice(1), nameOf);
  assert.equal(tell(unknown, nameOf), "b was lost.", "without a view before it, nobody knows what it hosted");
}
{
  // An observer of guests: the view without b comes before it has lost b itself, and guests tell it nothing.
  const view9 = (milliseconds) => view(milliseconds, "view 9: A on a B on c C on a");
  const lost = incident(2200, "PEER_LOST", "2", { text: "b has died" });
  const late = [death[0], death[1], view9(2150), view9(2151), lost];
  const [story] = findFailovers(late, nameOf);
  assert.deepEqual(story.ends.slice(0, 3), [150, 150, undefined]);
  assert.equal(tell(story, nameOf), "b died. Torus C grows back on a, bit for bit.");
}
{
  const back = [incident(9000, "JOINED", "2"), ...rebuild(2, "2", 9100)];
  const [story] = findFailovers([...death, ...rebuild(2, "1", 2025), ...back], nameOf);
  assert.equal(story.ends[4], 55, "the return of the torus is no part of it");
  assert.match(tell(story, nameOf), /^b died and is back\. Torus C grew back on a/);
}
{
  const series = new Series(1, 5);
  for (let second = 0; second < 50; ++second) series.push(second, [second === 47 ? NaN : second]);
  assert.deepEqual(series.table(), [[45, 46, 47, 48, 49], [45, 46, null, 48, 49]]);
}
{
  const series = new Series(2, 6);
  series.push(100, [7, 8]);
  series.prepend([97, 98, 99, 100, 101], [[null, 1, null, 5, 6], [null, null, 3, 5, 6]]);
  assert.deepEqual(series.table(), [[98, 99, 100], [1, null, 7], [null, 3, 8]],
    "only what was before, from where something is known");
  series.prepend([90, 91, 92, 93, 94], [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]);
  assert.deepEqual(series.table()[0], [92, 93, 94, 98, 99, 100], "no more than there is room for, the newest");
  series.push(101, [9, 9]);
  series.prepend([1], [[1], [1]]);
  assert.deepEqual(series.table()[0], [93, 94, 98, 99, 100, 101], "what is full stays as it is");
}
{
  const store = new Store();
  const long = BigInt(Date.now() - 3_600_000) * 1_000_000n;
  const later = (one) => ({ ...one, unix_nanoseconds: String(BigInt(one.unix_nanoseconds) + long) });
  const old = [...death, ...rebuild(2, "1", 2025)].map(later);
  store.takePast([{ node: "2", name: "b", incidents: old }, { node: "1", name: "a", incidents: old.slice(2) }], 50);
  assert.equal(store.incidents.length, old.length, "what two histories have is taken once");
  const sentence = "b died. Torus C grew back on a in 55 ms, bit for bit; nothing was lost.";
  assert.equal(tell(store.failovers[0], store.nameOf), sentence);
  assert.ok(store.newsAt < -3000, "what is an hour old is no news");
}
{
  const store = new Store();
  const status = (epoch) => ({
    health: "HEALTHY", verdict: "healthy: 3 of 3 nodes; any one may fail", peers: [], links: [],
    view: { cluster: "1", number: "1", run: "1", members: [], voters: [], hosts: [], homes: [] },
    tori: [0, 1, 2].map((torus) => ({ torus, host: "1", epoch: String(epoch), events: String(epoch * 1000) })),
    self: { node: "1", name: "a", cluster: "1", cpu_nanoseconds: String(epoch * 1e7), resident_bytes: "1" },
    incidents: epoch % 100 === 0 ? [incident(epoch, "CUT_DURABLE", "1")] : [],
  });
  for (let step = 0; step < 20_000; ++step) store.takeState([status(step * 10)], step * 0.25);
  assert.equal(Math.round(store.rates.epochs[0]), 40, "ten epochs each quarter of a second are forty a second");
  assert.ok(Math.abs(store.measures.get("1").load - 0.4) < 1e-6);
  assert.equal(store.incidents.length, 720, "incidents are bounded");
  assert.equal(store.eventSeries.table()[0].length, 600, "series are bounded");
}
{
  const told = (one, node) => ({ ...one, by: node, unix_nanoseconds: String(BigInt(one.unix_nanoseconds) + 999n) });
  const by = (node, incidents) => incidents.map((one) => told(one, node));
  const members = Object.entries(NAMES).map(([id, name]) => ({ node: id, name }));
  const status = (node, name, incidents) => ({
    health: "HEALTHY", peers: [], links: [], tori: [], incidents,
    view: { cluster: "1", number: "1", run: "1", members, voters: [], hosts: [], homes: [] },
    self: { node, name, cluster: "1", cpu_nanoseconds: "0", resident_bytes: "1" },
  });
  const observer = status("9", "observer", [...death, ...by("1", rebuild(2, "1", 2025))]);
  const guests = new Store();
  guests.takeState([observer], 1);
  assert.deepEqual(guests.failovers[0].ends, [5, 20, 35, 45, 55], "what a guest has told the observer completes the story");
  const daemons = new Store();
  const speaks = status("1", "a", rebuild(2, "1", 2025));
  daemons.takeState([observer, speaks], 1);
  daemons.takeState([observer], 2);
  assert.equal(daemons.incidents.length, death.length + 4, "what a node has said itself is not taken from others, even when it has gone");
}
console.log("stories are told as they were, in bounded memory");
