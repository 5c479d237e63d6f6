// What happened and why, newest first.
import { usePage } from "../data/context.ts";
import { millisecondsOf } from "../data/failover.ts";
import { moment } from "../format.ts";
import type { IncidentRecord } from "../data/wire.ts";
import { INCIDENT_WORDS } from "./words.ts";

const SHOWN_MAX = 80;
const ECHO_MILLISECONDS = 2000;

/// Each node reports what it sees: the same thing is shown once.
function withoutEchoes(incidents: readonly IncidentRecord[]): IncidentRecord[] {
  const last = new Map<string, number>();
  return incidents.filter((incident) => {
    if (incident.kind === "CUT_DURABLE") return false;
    const key = `${incident.kind} ${incident.text}`;
    const at = millisecondsOf(incident);
    const echo = at - (last.get(key) ?? -Infinity) < ECHO_MILLISECONDS;
    last.set(key, at);
    return !echo;
  });
}

export function History() {
  const { store } = usePage();
  const newest = withoutEchoes(store.incidents).slice(-SHOWN_MAX).reverse();
  if (newest.length === 0) return <p className="soft">Nothing yet.</p>;
  return (
    <ol className="history" tabIndex={0} aria-label="incidents, newest first">
      {newest.map((incident) => {
        const { title, tone } = INCIDENT_WORDS[incident.kind] ?? { title: incident.kind, tone: "idle" };
        const at = millisecondsOf(incident);
        return (
          <li key={`${incident.unix_nanoseconds} ${incident.kind} ${incident.node} ${incident.torus ?? ""}`} className={tone}>
            <time dateTime={new Date(at).toISOString()}>{moment(at)}</time>
            <span className="text"><strong>{title}</strong>{incident.text}</span>
          </li>
        );
      })}
    </ol>
  );
}
