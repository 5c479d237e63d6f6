// The whole page, from the verdict down.
import { Chart } from "./chart.tsx";
import { usePage } from "./data/context.ts";
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

const ACCENTS = ["--a", "--b", "--c"];

function Keys({ names }: { names: readonly string[] }) {
  return (
    <small className="keys" aria-hidden="true">
      {names.map((name, index) => <span key={name} className={["a", "b", "c"][index]}>{name}</span>)}
    </small>
  );
}

export function Dashboard() {
  const { store } = usePage();
  const [theme, toggle] = useTheme();
  const self = store.status?.self;
  const version = store.seriesVersion;
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
          <section className="w6" aria-labelledby="events">
            <h2 id="events">Events a second<Keys names={TORUS_NAMES} /></h2>
            <Chart series={store.eventSeries} names={TORUS_NAMES} colors={ACCENTS} format={short} version={version} theme={theme}
              label="events a second of each torus over the last ten minutes" />
          </section>
          <section className="w6" aria-labelledby="epochs">
            <h2 id="epochs">Epochs a second<Keys names={TORUS_NAMES} /></h2>
            <Chart series={store.epochSeries} names={TORUS_NAMES} colors={ACCENTS} format={short} version={version} theme={theme}
              label="epochs a second of each torus over the last ten minutes" />
          </section>
          <section className="w7" aria-labelledby="links"><h2 id="links">Links of {self?.name ?? "this node"}</h2><Links /></section>
          <section className="w5" aria-labelledby="trips">
            <h2 id="trips">Round trip<small className="keys" aria-hidden="true"><span className="c">99 %</span><span className="a">median</span></small></h2>
            <Chart series={store.rttSeries} names={["median", "99 %"]} colors={["--a", "--c"]} format={milliseconds} version={version} theme={theme}
              label="round trip of the slowest link over the last ten minutes" height={120} />
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
