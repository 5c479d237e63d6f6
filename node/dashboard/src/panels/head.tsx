// The bar, and the verdict: what is, in one sentence, and what just happened, in another.
import { tell, type Failover } from "../data/failover.ts";
import { usePage } from "../data/context.ts";
import type { Store } from "../data/store.ts";
import { hex64, type Health } from "../data/wire.ts";
import { duration } from "../format.ts";
import type { Theme } from "../theme.ts";

const RECENT_SECONDS = 120;

const LEADS: Record<Health, string> = {
  HEALTHY: "Healthy", UNPROTECTED: "Degraded", REBUILDING: "Rebuilding", STOPPED: "Stopped", JOINING: "Joining",
};

export function Bar({ theme, toggle }: { theme: Theme; toggle: () => void }) {
  const { store } = usePage();
  const status = store.status;
  const age = status ? Math.max(0, performance.now() / 1000 - store.receivedAt) : NaN;
  return (
    <header className="bar">
      <svg viewBox="0 0 32 32" aria-hidden="true" fill="none" strokeWidth="3.2">
        <circle cx="16" cy="10.6" r="7" stroke="var(--a)" />
        <circle cx="11" cy="19.4" r="7" stroke="var(--b)" />
        <circle cx="21" cy="19.4" r="7" stroke="var(--c)" />
      </svg>
      <span className="brand">RSE</span>
      {status && (
        <dl>
          <div><dt>cluster</dt><dd className="mono">{hex64(status.self.cluster)}</dd></div>
          <div className="extra"><dt>view</dt><dd>{status.view.number}</dd></div>
          <div className="extra"><dt>run</dt><dd>{status.view.run}</dd></div>
          <div className="extra"><dt>links</dt><dd>{status.self.encrypted ? "encrypted" : "not encrypted"}</dd></div>
        </dl>
      )}
      <div className="end">
        <span className={`pulse ${store.connection}`} id="freshness">
          {store.connection === "live" && status ? `live from ${store.answering.map(store.nameOf).join(", ")}`
            : store.connection === "lost" ? `no answer; last data ${duration(age)} ago` : "connecting"}
        </span>
        <button onClick={toggle} aria-label={`switch to the ${theme === "dark" ? "light" : "dark"} theme`}>
          {theme === "dark" ? "Light" : "Dark"}
        </button>
      </div>
    </header>
  );
}

/// The newest death, while it is news or not yet made good.
export function recentFailover(store: Store): Failover | undefined {
  const newest = store.failovers[store.failovers.length - 1];
  const news = performance.now() / 1000 - store.newsAt < RECENT_SECONDS;
  return newest && (news || (store.status?.health !== "HEALTHY" && !newest.returned)) ? newest : undefined;
}

export function Verdict() {
  const { store, api } = usePage();
  const status = store.status;
  if (!status) {
    return (
      <section className="verdict joining" aria-label="verdict">
        <h1><em>Connecting</em> to the node …</h1>
        <p className="story" />
      </section>
    );
  }
  if (store.connection === "lost") {
    return (
      <section className="verdict lost" aria-label="verdict">
        <h1 role="status"><em>No answer:</em> what you see is old.</h1>
        <p className="story">The program that serves this page has ended or hangs. Nodes elsewhere go on without it; start it again.</p>
      </section>
    );
  }
  // The node's verdict begins with its word for the state.
  const rest = status.verdict.replace(/^[a-z]+:\s*/, "");
  const recent = recentFailover(store);
  return (
    <section className={`verdict ${status.health.toLowerCase()}`} aria-label="verdict">
      <h1 role="status"><em>{LEADS[status.health]}:</em> {rest}.</h1>
      <p className="story" aria-live="polite">
        {recent ? tell(recent, store.nameOf)
          : "Three machines are one computer. Each holds a torus; any two hold what is needed to rebuild the third."
            + (api.capabilities.kill ? " Kill one, below, and watch." : "")}
      </p>
    </section>
  );
}
