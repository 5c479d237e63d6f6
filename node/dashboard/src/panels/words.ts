// How states are named and coloured.
import type { Failover } from "../data/failover.ts";
import type { Store } from "../data/store.ts";
import type { IncidentKind, Status } from "../data/wire.ts";

export type Tone = "good" | "warn" | "bad" | "idle";

export const TORUS_CLASSES = ["a", "b", "c"] as const;

export function torusState(status: Status, torus: number, failover: Failover | undefined): { word: string; tone: Tone } {
  const state = status.tori[torus];
  if (!state) return { word: "unknown", tone: "idle" };
  if (state.running) return { word: "running", tone: "good" };
  if (status.health === "STOPPED") return { word: "stopped: too few nodes", tone: "bad" };
  const rebuilt = failover && !failover.over && failover.tori.includes(torus);
  return rebuilt || status.health === "REBUILDING" ? { word: "growing back", tone: "warn" } : { word: "not running", tone: "bad" };
}

export interface NodeRow {
  node: string;
  name: string;
  role: string;
  tori: number[];
  state: string;
  tone: Tone;
  silenceSeconds: number; // 0 for the node that is asked
  self: boolean;
}

export function nodeRows(store: Store): NodeRow[] {
  const status = store.status;
  if (!status) return [];
  const peers = new Map(status.peers.map((peer) => [peer.node, peer]));
  const members = new Map(status.view.members.map((member) => [member.node, member]));
  const all = new Set([...members.keys(), ...status.peers.filter((peer) => peer.name).map((peer) => peer.node)]);
  return [...all]
    .map((node): NodeRow => {
      const member = members.get(node);
      const peer = peers.get(node);
      const self = node === status.self.node;
      const answers = store.answering.includes(node);
      const tori = status.view.hosts.flatMap((host, torus) => (host === node ? [torus] : []));
      const voter = status.view.voters.includes(node) ? ", votes" : "";
      const role = member?.observer ? "observer" : tori.length > 0 ? "host" + voter : member ? "spare" + voter : "no member";
      const lost = !self && (!member || !peer || (!peer.linked && peer.via === "0"));
      const tone: Tone = self || (member && !lost && !peer?.suspected) ? "good" : peer?.suspected ? "warn" : "bad";
      const state = !member ? (answers ? "joining" : "gone") : peer?.suspected ? "suspected" : lost ? "silent" : "alive";
      return {
        node, name: store.nameOf(node), role, tori, state, tone, self,
        silenceSeconds: self ? 0 : Number(peer?.silence_nanoseconds ?? 0) / 1e9,
      };
    })
    .sort((a, b) => a.name.localeCompare(b.name));
}

export const INCIDENT_WORDS: Record<IncidentKind, { title: string; tone: Tone }> = {
  PEER_SUSPECTED: { title: "Suspected", tone: "warn" },
  PEER_HEARD_AGAIN: { title: "Heard again", tone: "good" },
  PEER_LOST: { title: "Lost", tone: "bad" },
  VIEW_INSTALLED: { title: "New view", tone: "idle" },
  REBUILD_STARTED: { title: "Rebuild begins", tone: "warn" },
  REBUILD_REPLAYING: { title: "Replaying", tone: "warn" },
  REBUILT: { title: "Rebuilt", tone: "good" },
  HANDED_OVER: { title: "Handed over", tone: "idle" },
  CUT_DURABLE: { title: "Cut is durable", tone: "idle" },
  RUN_STARTED: { title: "New run", tone: "good" },
  STOPPED: { title: "Stopped", tone: "bad" },
  RESUMED: { title: "Resumed", tone: "good" },
  ALARM: { title: "Alarm", tone: "bad" },
  JOINED: { title: "Joined", tone: "good" },
  LINK_FAILURE: { title: "Link failed", tone: "warn" },
  STORAGE_FAILURE: { title: "Disk failed", tone: "bad" },
  FIRST_EPOCH: { title: "Runs again", tone: "good" },
};
