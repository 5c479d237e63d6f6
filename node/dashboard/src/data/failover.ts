// The story of each death, put together from the nodes' incidents: who died and why, and when each phase was over.
import { TORUS_NAMES, type IncidentRecord } from "./wire.ts";

export const PHASES = ["suspected", "view agreed", "shards gathered", "replayed", "verified, running"] as const;

export interface Failover {
  node: string; // that died
  begunMilliseconds: number; // unix time of the first sign
  why: string;
  tori: number[]; // that had to be rebuilt
  hosts: string[]; // who rebuilt them
  ends: (number | undefined)[]; // milliseconds from the first sign to the end of each of PHASES, of the slowest torus
  over: boolean;
  returned: boolean; // the node was heard again, or joined again
}

const STORY_MILLISECONDS = 30_000; // what comes later belongs to something else
const SUSPICION_MILLISECONDS = 1_000; // an older suspicion was another one

export function millisecondsOf(incident: IncidentRecord): number {
  return Number(BigInt(incident.unix_nanoseconds) / 1000n) / 1000;
}

/// `incidents` of any number of nodes of one machine or with well-set clocks, in the order of time.
export function findFailovers(incidents: readonly IncidentRecord[]): Failover[] {
  const found: Failover[] = [];
  let suspected: IncidentRecord | undefined;
  for (const incident of incidents) {
    const at = millisecondsOf(incident);
    const newest = found[found.length - 1];
    const recent = newest && at - newest.begunMilliseconds < STORY_MILLISECONDS ? newest : undefined;
    const current = recent?.over ? undefined : recent;
    const after = (phase: number): void => {
      if (current) current.ends[phase] = Math.max(current.ends[phase] ?? 0, at - current.begunMilliseconds);
    };
    switch (incident.kind) {
      case "PEER_SUSPECTED":
        if (suspected?.node !== incident.node) suspected = incident;
        break;
      case "PEER_LOST": {
        if (recent && recent.node === incident.node && !recent.returned) break; // another node says the same
        const first = suspected?.node === incident.node && at - millisecondsOf(suspected) < SUSPICION_MILLISECONDS ? suspected : incident;
        const begun = millisecondsOf(first);
        found.push({
          node: incident.node, begunMilliseconds: begun, why: incident.text, tori: [], hosts: [],
          ends: [at - begun, undefined, undefined, undefined, undefined], over: false, returned: false,
        });
        break;
      }
      case "VIEW_INSTALLED":
        if (current && current.ends[1] === undefined) after(1);
        break;
      case "REBUILD_STARTED":
        if (current && incident.torus !== undefined && !current.tori.includes(incident.torus)) {
          current.tori.push(incident.torus);
          current.hosts.push(incident.node);
        }
        break;
      case "REBUILD_REPLAYING":
        after(2);
        break;
      case "REBUILT":
        after(3);
        break;
      case "FIRST_EPOCH":
        if (current && incident.torus !== undefined && current.tori.includes(incident.torus)) {
          after(4);
          current.over = true;
        }
        break;
      case "PEER_HEARD_AGAIN":
        if (suspected?.node === incident.node) suspected = undefined;
        break;
      case "JOINED":
        for (const failover of found) if (failover.node === incident.node) failover.returned = true;
        break;
      default:
        break;
    }
  }
  return found;
}

/// What the survivors made of it, in one sentence.
export function tell(failover: Failover, nameOf: (node: string) => string): string {
  const who = nameOf(failover.node);
  if (failover.tori.length === 0) return `${who} was lost.`;
  const tori = failover.tori.map((torus) => TORUS_NAMES[torus]).join(" and ");
  const where = [...new Set(failover.hosts)].map(nameOf).join(" and ");
  const total = failover.ends[4] ?? failover.ends[3];
  if (total === undefined) return `${who} died. Torus ${tori} is growing back on ${where}.`;
  return `${who} died. Torus ${tori} grew back on ${where} in ${Math.round(total)} ms, bit for bit; nothing was lost.`;
}
