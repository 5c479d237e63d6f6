// A column a torus: its rate large, the rest as facts.
import { usePage } from "../data/context.ts";
import { hex64, TORUS_NAMES } from "../data/wire.ts";
import { duration, grouped, short } from "../format.ts";
import { recentFailover } from "./head.tsx";
import { TORUS_CLASSES, torusState } from "./words.ts";

export function Tori() {
  const { store } = usePage();
  const status = store.status;
  return (
    <>
      {TORUS_NAMES.map((name, index) => {
        const torus = status?.tori[index];
        const { word, tone } = status ? torusState(status, index, recentFailover(store)) : { word: "unknown", tone: "idle" };
        return (
          <section key={name} className="w4" aria-label={`torus ${name}`}>
            <div className={`torus ${TORUS_CLASSES[index]}`}>
              <header>
                <b>{name}</b>
                <span className="soft">{torus && torus.host !== "0" ? `on ${store.nameOf(torus.host)}` : "no host"}</span>
                <span className={`state ${tone}`}>{word}</span>
              </header>
              <p className="rate">{short(store.rates.events[index] ?? NaN)}<small>events a second</small></p>
              {torus && (
                <dl className="facts">
                  <dt>epoch</dt><dd>{grouped(torus.epoch)}</dd>
                  <dt>epochs/s</dt><dd>{short(store.rates.epochs[index] ?? NaN)}</dd>
                  <dt>pending</dt><dd>{grouped(torus.pending)}</dd>
                  <dt>processes</dt><dd>{grouped(torus.processes)}</dd>
                  <dt>refused</dt><dd>{grouped(torus.refused)}</dd>
                  <dt>last cut</dt><dd>{grouped(torus.cut_durable)}</dd>
                  <dt>cut's age</dt><dd>{status?.cut_age_nanoseconds ? duration(Number(status.cut_age_nanoseconds) / 1e9) : "–"}</dd>
                  <dt>digest</dt><dd className="mono wide">{hex64(torus.event_digest)}</dd>
                </dl>
              )}
            </div>
          </section>
        );
      })}
    </>
  );
}
