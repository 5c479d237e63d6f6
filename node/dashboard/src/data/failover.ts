// The story of each death, put together from the nodes' incidents: who died and why, and when each phase was over.
import { TORUS_NAMES, type IncidentRecord } from "./wire.ts";

export const PHASES = ["suspected", "view agreed", "shards gathered", "replayed", "verified, running"] as const;

export interface Failover {
  node: string; // that died
  begunMilliseconds: number; // unix time of the first sign
  why: string;
  lost: number[] | undefined; // tori that it hosted; undefined: the page came too late to know
  tori: number[]; // that are put together elsewhere
  hosts: string[]; // who does that
  heirs: string[]; // names of whom the view gave what was lost: all that is known of hosts that were not heard
  ends: (number | undefined)[]; // milliseconds from the first sign to the end of each of PHASES, of the slowest torus
  over: boolean;
  returned: boolean; // the node was heard again, or joined again
}

const STORY_MILLISECONDS = 30_000; // what comes later belongs to something else
const SUSPICION_MILLISECONDS = 1_000; // an older suspicion was another one

export function millisecondsOf(incident: IncidentRecord): number {
  return Number(BigInt(incident.unix_nanoseconds) / 1000n) / 1000;
}

class Teller {
  readonly found: Failover[] = [];
  private readonly suspected = new Map<string, number>();
  private views: { at: number; hosts: string[] }[] = []; // the newest two that differ; hosts: names, of A, B and C
  private readonly running = new Map<Failover, Set<number>>();

  constructor(private readonly nameOf: (node: string) => string) {}

  take(incident: IncidentRecord): void {
    const at = millisecondsOf(incident);
    const { kind, node, torus } = incident;
    if (kind === "PEER_SUSPECTED" && !this.suspected.has(node)) this.suspected.set(node, at);
    if (kind === "PEER_HEARD_AGAIN") this.suspected.delete(node);
    if (kind === "PEER_HEARD_AGAIN" || kind === "JOINED") this.found.forEach((one) => (one.returned ||= one.node === node));
    if (kind === "PEER_LOST") this.lose(incident, at);
    if (kind === "VIEW_INSTALLED") this.seeView(incident.text, at);
    if (torus === undefined) return;
    if (kind === "REBUILD_STARTED") this.begin(torus, node, at);
    if (kind === "REBUILD_REPLAYING") this.pass(torus, 2, at);
    if (kind === "REBUILT") this.pass(torus, 3, at);
    if (kind === "FIRST_EPOCH") this.finish(torus, at);
  }

  private lose(incident: IncidentRecord, at: number): void {
    const same = this.found.some((one) => one.node === incident.node && !one.returned && at - one.begunMilliseconds < STORY_MILLISECONDS);
    if (same) return; // another node says it too
    const first = this.suspected.get(incident.node) ?? at;
    const begun = at - first < SUSPICION_MILLISECONDS ? first : at;
    const name = this.nameOf(incident.node);
    const newest = this.views[this.views.length - 1];
    // Others may have been faster, and the view without the dead node be here before this node has lost it.
    const answers = newest !== undefined && this.views.length > 1 && !newest.hosts.includes(name)
      && at - newest.at < SUSPICION_MILLISECONDS;
    const before = answers ? this.views[0] : newest;
    const lost = before?.hosts.flatMap((host, torus) => (host === name ? [torus] : []));
    const story: Failover = {
      node: incident.node, begunMilliseconds: answers ? Math.min(begun, newest.at) : begun, why: incident.text, lost,
      tori: [], hosts: [], heirs: [], ends: Array(PHASES.length).fill(undefined), over: false, returned: false,
    };
    story.ends[0] = (answers ? newest.at : at) - story.begunMilliseconds;
    this.found.push(story);
    if (answers) this.agree(story, newest.at, newest.hosts);
  }

  private agree(story: Failover, at: number, hosts: string[]): void {
    story.ends[1] = at - story.begunMilliseconds;
    const given = story.lost?.map((torus) => hosts[torus]!) ?? [];
    story.heirs = [...new Set(given)].filter((host) => host !== this.nameOf(story.node));
  }

  /// "view 9: A on a B on c C on a"
  private seeView(text: string, at: number): void {
    const hosts = [...text.matchAll(/\b([ABC]) on (\S+)/g)].map((match) => match[2]!);
    if (hosts.length !== TORUS_NAMES.length) return;
    if (hosts.join() !== this.views[this.views.length - 1]?.hosts.join())
      this.views = [...this.views.slice(-1), { at, hosts }];
    for (const one of this.found)
      if (!one.over && one.ends[1] === undefined && this.isRecent(one, at)) this.agree(one, at, hosts);
  }

  private begin(torus: number, node: string, at: number): void {
    const story = this.storyOf(torus, at);
    if (!story || story.tori.includes(torus)) return;
    story.tori.push(torus);
    story.hosts.push(node);
  }

  private pass(torus: number, phase: number, at: number): void {
    const story = this.storyOf(torus, at);
    if (story?.tori.includes(torus)) story.ends[phase] = Math.max(story.ends[phase] ?? 0, at - story.begunMilliseconds);
  }

  private finish(torus: number, at: number): void {
    const story = this.storyOf(torus, at);
    if (!story?.tori.includes(torus)) return;
    this.pass(torus, 4, at);
    const running = this.running.get(story) ?? new Set();
    this.running.set(story, running.add(torus));
    story.over = (story.lost ?? story.tori).every((one) => running.has(one));
  }

  private isRecent(one: Failover, at: number): boolean {
    return at - one.begunMilliseconds < STORY_MILLISECONDS;
  }

  /// The newest death that explains why this torus is put together.
  private storyOf(torus: number, at: number): Failover | undefined {
    return [...this.found].reverse().find((one) => !one.over && this.isRecent(one, at) && (one.lost?.includes(torus) ?? true));
  }
}

/// `incidents` of any number of nodes of one machine or with well-set clocks, in the order of time.
export function findFailovers(incidents: readonly IncidentRecord[], nameOf: (node: string) => string): Failover[] {
  const teller = new Teller(nameOf);
  for (const incident of incidents) teller.take(incident);
  return teller.found;
}

/// What the survivors made of it, in one sentence.
export function tell(failover: Failover, nameOf: (node: string) => string): string {
  const who = nameOf(failover.node);
  const back = failover.returned ? " and is back" : "";
  if (failover.tori.length === 0) {
    if (failover.lost === undefined) return `${who} was lost${back}.`;
    const waiting = failover.lost.map((torus) => TORUS_NAMES[torus]).join(" and ");
    if (!waiting) return `${who} was lost${back}; it hosted no torus.`;
    const heirs = failover.heirs.join(" and ");
    return heirs ? `${who} died${back}. Torus ${waiting} grows back on ${heirs}, bit for bit.`
      : `${who} died, and took torus ${waiting} with it.`;
  }
  const tori = failover.tori.map((torus) => TORUS_NAMES[torus]).join(" and ");
  const where = [...new Set(failover.hosts)].map(nameOf).join(" and ");
  const total = failover.ends[4] ?? failover.ends[3];
  if (total === undefined) return `${who} died${back}. Torus ${tori} is growing back on ${where}.`;
  const time = `${Math.round(total)} ms`;
  return `${who} died${back}. Torus ${tori} grew back on ${where} in ${time}, bit for bit; nothing was lost.`;
}
