// What the node sends: the messages of proto/rse/v1/control.proto as JSON. Numbers of 64 bits are strings there.

export type Health = "HEALTHY" | "UNPROTECTED" | "REBUILDING" | "STOPPED" | "JOINING";

export interface ViewMember {
  node: string;
  name: string;
  addresses: string[];
  observer: boolean;
}

export interface TorusStatus {
  torus: number;
  host: string;
  epoch: string;
  end_tick: string;
  events: string;
  pending: string;
  refused: string;
  processes: string;
  event_digest: string;
  cut_durable: string;
  hosted_here: boolean;
  running: boolean;
  progress: string;
  regions_restored: number; // while the asked node puts it together
  regions_to_restore: number;
  epochs_replayed: string;
  epochs_to_replay: string;
}

export interface PeerStatus {
  node: string;
  name: string;
  member: boolean;
  voter: boolean;
  linked: boolean;
  suspected: boolean;
  silence_nanoseconds: string;
  via: string;
}

export interface LinkStatus {
  peer: string;
  transport: string;
  address: string;
  connected: boolean;
  bytes_sent: string;
  bytes_received: string;
  messages_dropped: string;
  reconnects: string;
  queued_bytes: string;
  cipher: string;
  rtt_p50_nanoseconds: string;
  rtt_p99_nanoseconds: string;
  packets_sent: string;
  packets_lost: string;
  silence_nanoseconds: string;
}

export type IncidentKind =
  | "PEER_SUSPECTED" | "PEER_HEARD_AGAIN" | "PEER_LOST" | "VIEW_INSTALLED" | "REBUILD_STARTED" | "REBUILD_REPLAYING"
  | "REBUILT" | "HANDED_OVER" | "CUT_DURABLE" | "RUN_STARTED" | "STOPPED" | "RESUMED" | "ALARM" | "JOINED"
  | "LINK_FAILURE" | "STORAGE_FAILURE" | "FIRST_EPOCH";

export interface IncidentRecord {
  kind: IncidentKind;
  at_nanoseconds: string;
  unix_nanoseconds: string;
  node: string;
  torus?: number;
  epoch: string;
  text: string;
  by: string; // whose incident it is, and who has told it to the node that has it here; "0": that node's own
}

export interface Status {
  health: Health;
  verdict: string;
  view: { cluster: string; number: string; run: string; members: ViewMember[]; voters: string[]; hosts: string[]; homes: string[] };
  tori: TorusStatus[];
  peers: PeerStatus[];
  links: LinkStatus[];
  self: {
    node: string; name: string; addresses: string[]; cluster: string; version: string; uptime_nanoseconds: string;
    resident_bytes: string; process_id: number; encrypted: boolean; cpu_nanoseconds: string;
  };
  messages_refused: string;
  retained_bytes: string;
  incidents: IncidentRecord[];
  cut_age_nanoseconds?: string; // absent: no cut since the node started
}

/// What a node has kept of earlier incidents.
export interface History {
  node: string;
  name: string;
  incidents: IncidentRecord[];
}

/// What the nodes have kept of a span of time: means over each step; null is not known.
export interface PastSeries {
  step_seconds: number;
  seconds: number[];
  events: (number | null)[][];
  epochs: (number | null)[][];
  rtt_milliseconds: (number | null)[];
}

/// What the stream sends: every node of this machine that answers, and what the page may do.
export interface State {
  nodes: Status[];
  capabilities: Capabilities;
}

export interface Capabilities {
  inject: boolean;
  kill: boolean;
  restart: boolean;
}

export function hex64(decimal: string): string {
  return BigInt(decimal || "0").toString(16).padStart(16, "0");
}

export const TORUS_NAMES = ["A", "B", "C"] as const;
