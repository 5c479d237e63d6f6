// What the page knows, in bounded memory: the last status, rates out of the differences of two, ten minutes of series, the
// newest incidents. Views subscribe to it; it never touches the page.
import { findFailovers, millisecondsOf, type Failover } from "./failover.ts";
import { Series } from "./series.ts";
import type { History, IncidentRecord, PastSeries, Status } from "./wire.ts";

const INCIDENTS_MAX = 720; // three histories as the server tells them
const RATE_SECONDS = 1; // over which rates are taken
const SAMPLE_SECONDS = 1;

export interface Rates {
  events: number[]; // a second, of each torus
  epochs: number[];
}

export interface Measure {
  load: number; // share of one core; NaN: not known
  residentBytes: number;
  cpu: number; // seconds, and when
  at: number;
}

interface Mark {
  at: number;
  events: number[];
  epochs: number[];
}

export type Connection = "connecting" | "live" | "lost";

export class Store {
  status: Status | undefined;
  receivedAt = 0; // performance.now(), seconds
  connection: Connection = "connecting";
  readonly measures = new Map<string, Measure>(); // of the nodes that could be asked
  rates: Rates = { events: [NaN, NaN, NaN], epochs: [NaN, NaN, NaN] };
  readonly eventSeries = new Series(3);
  readonly epochSeries = new Series(3);
  readonly rttSeries = new Series(2);
  incidents: IncidentRecord[] = []; // oldest first
  failovers: Failover[] = [];
  newsAt = -Infinity; // when the page heard of the newest of them, as receivedAt
  answering: string[] = []; // nodes that are asked themselves
  private newsBegun = 0;
  version = 0;
  seriesVersion = 0;
  private readonly names = new Map<string, string>();
  private readonly listeners = new Set<() => void>();
  private readonly known = new Set<string>();
  private readonly speakers = new Set<string>(); // nodes that were asked themselves, or have left a history
  private marks: Mark[] = [];
  private sampledAt = 0;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  readonly snapshot = (): number => this.version;

  changed(): void {
    ++this.version;
    for (const listener of this.listeners) listener();
  }

  nameOf = (node: string): string => this.names.get(node) ?? (node === "0" ? "–" : BigInt(node).toString(16).slice(0, 6));

  /// What the stream has sent: all nodes that answer. One of them is the page's witness, as long as it answers.
  takeState(nodes: readonly Status[], now = performance.now() / 1000): void {
    this.answering = nodes.map((status) => status.self.node);
    for (const status of nodes) {
      this.names.set(status.self.node, status.self.name);
      this.measure(status, now);
    }
    const speaks = (status: Status): boolean => status.health !== "STOPPED" && status.health !== "JOINING";
    const before = nodes.find((status) => status.self.node === this.status?.self.node);
    const witness = before && speaks(before) ? before : nodes.find(speaks) ?? before ?? nodes[0];
    if (witness) this.takeStatus(witness, now);
    this.takeIncidents(this.firstHand(nodes.map((status) => ({ node: status.self.node, incidents: status.incidents }))), now, "now");
    this.changed();
  }

  /// What the nodes had kept when the page was opened.
  takePast(histories: readonly History[], now = performance.now() / 1000): void {
    for (const history of histories) if (!this.names.has(history.node)) this.names.set(history.node, history.name);
    this.takeIncidents(this.firstHand(histories), now, "before");
    this.changed();
  }

  takePastSeries(past: PastSeries): void {
    this.eventSeries.prepend(past.seconds, past.events);
    this.epochSeries.prepend(past.seconds, past.epochs);
    this.rttSeries.prepend(past.seconds, [past.rtt_milliseconds]);
    ++this.seriesVersion;
    this.changed();
  }

  private takeStatus(status: Status, now: number): void {
    if (this.status?.view.run !== status.view.run || this.status?.view.cluster !== status.view.cluster) this.marks = [];
    this.status = status;
    this.receivedAt = now;
    this.connection = "live";
    for (const member of status.view.members) this.names.set(member.node, member.name);
    for (const peer of status.peers) if (peer.name) this.names.set(peer.node, peer.name);
    this.takeRates(status, now);
    if (now - this.sampledAt >= SAMPLE_SECONDS) this.sample(status, now);
  }

  /// Load out of the difference of two times of the processor.
  private measure(status: Status, now: number): void {
    const cpu = Number(status.self.cpu_nanoseconds) / 1e9;
    const old = this.measures.get(status.self.node);
    const same = old && cpu >= old.cpu && now - old.at < 5; // a process that was started again counts from nothing
    const residentBytes = Number(status.self.resident_bytes);
    if (same && now - old.at < RATE_SECONDS) return;
    this.measures.set(status.self.node, { load: same ? (cpu - old.cpu) / (now - old.at) : NaN, residentBytes, cpu, at: now });
  }

  /// What a node has told others counts only where it has never spoken itself.
  private firstHand(tellers: readonly { node: string; incidents: readonly IncidentRecord[] }[]): IncidentRecord[] {
    for (const teller of tellers) this.speakers.add(teller.node);
    return tellers.flatMap((teller) => teller.incidents.filter((incident) => !this.speakers.has(incident.by)));
  }

  /// Doubled ones are known by their time and kind.
  private takeIncidents(incidents: readonly IncidentRecord[], now: number, when: "now" | "before"): void {
    let fresh = false;
    for (const incident of incidents) {
      const key = `${incident.unix_nanoseconds} ${incident.kind} ${incident.node} ${incident.torus ?? ""}`;
      if (this.known.has(key)) continue;
      this.known.add(key);
      this.incidents.push(incident);
      fresh = true;
    }
    if (!fresh) return;
    this.incidents.sort((a, b) => millisecondsOf(a) - millisecondsOf(b));
    if (this.incidents.length > INCIDENTS_MAX) this.incidents = this.incidents.slice(-INCIDENTS_MAX);
    if (this.known.size > 8 * INCIDENTS_MAX) {
      this.known.clear();
      for (const incident of this.incidents)
        this.known.add(`${incident.unix_nanoseconds} ${incident.kind} ${incident.node} ${incident.torus ?? ""}`);
    }
    this.failovers = findFailovers(this.incidents, this.nameOf);
    const newest = this.failovers[this.failovers.length - 1];
    if (!newest || newest.begunMilliseconds === this.newsBegun) return;
    // At the first look it is as old as the clocks say; later, it has just happened.
    const age = this.newsBegun === 0 || when === "before" ? Math.max(0, Date.now() - newest.begunMilliseconds) / 1000 : 0;
    this.newsBegun = newest.begunMilliseconds;
    this.newsAt = now - age;
  }

  /// Not heard for longer than `seconds`: what is shown may be old.
  noteSilence(seconds: number): void {
    const lost = performance.now() / 1000 - this.receivedAt > seconds;
    if (lost && this.connection === "live") this.connection = "lost";
    this.changed();
  }

  private takeRates(status: Status, now: number): void {
    const mark: Mark = {
      at: now,
      events: status.tori.map((torus) => Number(torus.events)),
      epochs: status.tori.map((torus) => Number(torus.epoch)),
    };
    this.marks = this.marks.filter((old) => now - old.at <= RATE_SECONDS * 1.5);
    const base = this.marks[0];
    this.marks.push(mark);
    if (!base || now - base.at < 0.2) return;
    // A torus that is replayed counts from an older cut again; then its rate is that of nothing new.
    const rate = (key: "events" | "epochs"): number[] =>
      mark[key].map((value, torus) => Math.max(0, value - (base[key][torus] ?? value)) / (now - base.at));
    this.rates = { events: rate("events"), epochs: rate("epochs") };
  }

  private sample(status: Status, now: number): void {
    const unix = Date.now() / 1000;
    if (this.sampledAt > 0 && now - this.sampledAt > 3 * SAMPLE_SECONDS) {
      for (const series of [this.eventSeries, this.epochSeries, this.rttSeries]) series.push(unix - SAMPLE_SECONDS, []);
    }
    this.sampledAt = now;
    this.eventSeries.push(unix, this.rates.events);
    this.epochSeries.push(unix, this.rates.epochs);
    const trips = status.links.filter((link) => link.connected && Number(link.rtt_p50_nanoseconds) > 0);
    const worst = (key: "rtt_p50_nanoseconds" | "rtt_p99_nanoseconds"): number =>
      trips.length > 0 ? Math.max(...trips.map((link) => Number(link[key]))) / 1e6 : NaN;
    this.rttSeries.push(unix, [worst("rtt_p50_nanoseconds"), worst("rtt_p99_nanoseconds")]);
    ++this.seriesVersion;
  }
}
