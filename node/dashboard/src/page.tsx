// The whole page, from the verdict down.
import { useEffect, useState } from "react";
import { Chart } from "./chart.tsx";
import { usePage } from "./data/context.ts";
import { Series } from "./data/series.ts";
import { TORUS_NAMES } from "./data/wire.ts";
import { bytes, duration, milliseconds, short } from "./format.ts";
import { FailoverView } from "./panels/failover_view.tsx";
import { Bar, Verdict } from "./panels/head.tsx";
import { History } from "./panels/history.tsx";
import { Inject } from "./panels/inject.tsx";
import { Links } from "./panels/links.tsx";
import { Nodes } from "./panels/nodes.tsx";
import { Processes } from "./panels/processes.tsx";
import { StageView } from "./panels/stage_view.tsx";
import { Tori } from "./panels/tori.tsx";
import { useTheme } from "./theme.ts";

const PAST_MILLISECONDS = 36_000; // a step of the shorter span
const SPANS = [
  { seconds: 600, name: "10 min", words: "ten minutes" },
  { seconds: 21_600, name: "6 h", words: "six hours" },
  { seconds: 86_400, name: "24 h", words: "day" },
] as const;

const ACCENTS = ["--a", "--b", "--c"];

function Keys({ names }: { names: readonly string[] }) {
  return (
    <small className="keys" aria-hidden="true">
      {names.map((name, index) => <span key={name} className={["a", "b", "c"][index]}>{name}</span>)}
    </small>
  );
}

interface Charts {
  events: Series;
  epochs: Series;
  trips: Series;
  version: number;
}

/// Of the last minutes as the page has seen them; of longer spans as the nodes have kept them, asked for now and then.
function useCharts(spanSeconds: number): Charts {
  const { store, api } = usePage();
  const [past, setPast] = useState<Charts>();
  const live = spanSeconds === SPANS[0].seconds;
  useEffect(() => {
    if (live) return;
    let ended = false;
    const ask = async (): Promise<void> => {
      const got = document.hidden ? undefined : await api.series(spanSeconds);
      if (ended || !got) return;
      const series = (columns: (number | null)[][]): Series => {
        const made = new Series(columns.length, got.seconds.length);
        made.prepend(got.seconds, columns);
        return made;
      };
      setPast({ events: series(got.events), epochs: series(got.epochs), trips: series([got.rtt_milliseconds, []]), version: Date.now() });
    };
    void ask();
    const timer = setInterval(() => void ask(), PAST_MILLISECONDS);
    return () => {
      ended = true;
      clearInterval(timer);
      setPast(undefined);
    };
  }, [api, live, spanSeconds]);
  return past ?? { events: store.eventSeries, epochs: store.epochSeries, trips: store.rttSeries, version: store.seriesVersion };
}

export function Dashboard() {
  const { store } = usePage();
  const [span, setSpan] = useState<(typeof SPANS)[number]>(SPANS[0]);
  const charts = useCharts(span.seconds);
  const [theme, toggle] = useTheme();
  const self = store.status?.self;
  return (
    <>
      <a className="skip" href="#numbers">to the numbers</a>
      <div className="hero">
        <Bar theme={theme} toggle={toggle} />
        <Verdict />
        <StageView theme={theme} />
      </div>
      <main id="numbers">
        <div className="columns">
          <Tori />
          <section className="w7" aria-labelledby="nodes"><h2 id="nodes">Nodes</h2><Nodes /></section>
          <section className="w5" aria-labelledby="failover"><h2 id="failover">Last failover</h2><FailoverView /></section>
          <section className="w12 spans" aria-label="time that the charts show">
            <div className="segment" role="group" aria-label="time that the charts show">
              {SPANS.map((one) => <button key={one.name} aria-pressed={span === one} onClick={() => setSpan(one)}>{one.name}</button>)}
            </div>
          </section>
          <section className="w6" aria-labelledby="events">
            <h2 id="events">Events a second<Keys names={TORUS_NAMES} /></h2>
            <Chart series={charts.events} names={TORUS_NAMES} colors={ACCENTS} format={short} version={charts.version} theme={theme}
              label={`events a second of each torus over the last ${span.words}`} />
          </section>
          <section className="w6" aria-labelledby="epochs">
            <h2 id="epochs">Epochs a second<Keys names={TORUS_NAMES} /></h2>
            <Chart series={charts.epochs} names={TORUS_NAMES} colors={ACCENTS} format={short} version={charts.version} theme={theme}
              label={`epochs a second of each torus over the last ${span.words}`} />
          </section>
          <section className="w7" aria-labelledby="links"><h2 id="links">Links of {self?.name ?? "this node"}</h2><Links /></section>
          <section className="w5" aria-labelledby="trips">
            <h2 id="trips">Round trip<small className="keys" aria-hidden="true"><span className="c">99 %</span><span className="a">median</span></small></h2>
            <Chart series={charts.trips} names={["median", "99 %"]} colors={["--a", "--c"]} format={milliseconds} version={charts.version} theme={theme}
              label={`round trip of the slowest link over the last ${span.words}`} height={120} />
          </section>
          <section className="w7" aria-labelledby="processes"><h2 id="processes">Processes</h2><Processes /></section>
          <section className="w5" aria-labelledby="inject"><h2 id="inject">Inject an event</h2><Inject /></section>
          <section className="w12" aria-labelledby="history"><h2 id="history">Incidents</h2><History /></section>
        </div>
      </main>
      {self && (
        <footer>
          <span>rse-node {self.version}, process {self.process_id}</span>
          <span>up {duration(Number(self.uptime_nanoseconds) / 1e9)}</span>
          <span>{bytes(Number(self.resident_bytes))} resident</span>
          <span><a href="/metrics">metrics</a></span>
        </footer>
      )}
    </>
  );
}
