// The last death as it happened: each phase a bar on one axis of milliseconds.
import { PHASES, tell } from "../data/failover.ts";
import { usePage } from "../data/context.ts";
import { milliseconds, moment } from "../format.ts";
import { TORUS_CLASSES } from "./words.ts";

export function FailoverView() {
  const { store } = usePage();
  const failover = store.failovers[store.failovers.length - 1];
  if (!failover) {
    return (
      <div className="timeline">
        <p className="soft">
          No node has died, as far as the histories of the nodes here go. When one does, each phase appears here with its milliseconds: suspected, view agreed, shards
          gathered, replayed, verified.
        </p>
      </div>
    );
  }
  const whole = Math.max(1, ...failover.ends.map((end) => end ?? 0));
  const accent = TORUS_CLASSES[failover.tori[0] ?? 3] ?? "";
  return (
    <div className={`timeline ${accent}`}>
      <p className="lead">{tell(failover, store.nameOf)}</p>
      <ol>
        {PHASES.map((phase, index) => {
          const end = failover.ends[index];
          // What was prepared before needs no such phase; a host that was not heard shows none.
          if (end === undefined && (failover.over || (failover.tori.length === 0 && failover.heirs.length > 0))) return null;
          const begin = failover.ends.slice(0, index).reduce((last: number, before) => before ?? last, 0);
          return (
            <li key={phase} className={end === undefined ? "waiting" : ""}>
              <span>{phase}</span>
              <span className="track" aria-hidden="true">
                {end !== undefined && <i style={{ left: `${(begin / whole) * 100}%`, width: `${(Math.max(0, end - begin) / whole) * 100}%` }} />}
              </span>
              <span className="number">{end === undefined ? "–" : milliseconds(end)}</span>
            </li>
          );
        })}
      </ol>
      <p className="quiet" style={{ marginTop: "0.7rem" }}>{moment(failover.begunMilliseconds)} · {failover.why}</p>
    </div>
  );
}
