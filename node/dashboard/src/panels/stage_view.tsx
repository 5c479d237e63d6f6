// The 3-D scene with its labels, which are text of the page and follow the tori.
import { useEffect, useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { usePage } from "../data/context.ts";
import type { Store } from "../data/store.ts";
import { TORUS_NAMES } from "../data/wire.ts";
import { short } from "../format.ts";
import { BraidRing } from "../scene/braid_ring.ts";
import { Stage, type TorusLook } from "../scene/stage.ts";
import type { Theme } from "../theme.ts";
import { recentFailover } from "./head.tsx";
import { TORUS_CLASSES, torusState } from "./words.ts";

const CELL_POLL_MILLISECONDS = 400;
const SCATTER_SECONDS = 1.2;
const KEY_STEP = 0.12;

const UNSEEN_MILLISECONDS = 4000; // then what was seen is drawn no longer

const DARK = new Uint8Array(32768);

/// Why lattices stay dark; empty: none does.
function darkWords(store: Store, unseen: readonly number[]): string {
  const status = store.status;
  const dark = unseen.filter((torus) => status?.tori[torus]?.running);
  if (!status || dark.length === 0) return "";
  const tori = dark.map((torus) => TORUS_NAMES[torus]).join(" and ");
  const hosts = [...new Set(dark.map((torus) => status.tori[torus]!.host))];
  const isLinked = (host: string): boolean => status.links.some((link) => link.peer === host && link.connected);
  const why = hosts.every(isLinked) ? "whose answer is late" : "with which no daemon of this machine is linked now";
  const subject = dark.length > 1 ? `Tori ${tori} run` : `Torus ${tori} runs`;
  return `${subject} on ${hosts.map(store.nameOf).join(" and ")}, ${why}: drawn dark. `;
}

export function StageView({ theme }: { theme: Theme }) {
  const { store, api } = usePage();
  const canvas = useRef<HTMLCanvasElement>(null);
  const tags = useRef<(HTMLDivElement | null)[]>([]);
  const stage = useRef<Stage | null>(null);
  const [failure, setFailure] = useState("");
  const [cube, setCube] = useState(false);
  const [unseen, setUnseen] = useState<readonly number[]>([]);

  useEffect(() => {
    try {
      stage.current = new Stage(canvas.current!, (torus, x, y) => {
        const tag = tags.current[torus];
        if (tag) tag.style.transform = `translate(-50%, 0) translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
      });
    } catch {
      setFailure("This browser shows no 3-D (WebGL 2 is off or missing). Everything else on this page works.");
      return;
    }
    const made = stage.current;
    let ended = false;
    const corrective: number[] = [];
    const seenAt = [0, 0, 0].map(() => performance.now());
    const poll = async (): Promise<void> => {
      while (!ended) {
        if (!document.hidden) {
          for (let torus = 0; torus < 3; ++torus) {
            const cells = await api.cells(torus);
            if (ended) return;
            if (!cells) {
              if (performance.now() - seenAt[torus]! > UNSEEN_MILLISECONDS) made.showCells(torus, DARK);
              continue;
            }
            seenAt[torus] = performance.now();
            made.showCells(torus, cells.levels);
            if (cells.corrective > (corrective[torus] ?? Infinity)) made.correct(torus);
            corrective[torus] = cells.corrective;
          }
        }
        const late = [0, 1, 2].filter((torus) => performance.now() - seenAt[torus]! > UNSEEN_MILLISECONDS);
        setUnseen((before) => (before.join() === late.join() ? before : late));
        await new Promise((done) => setTimeout(done, CELL_POLL_MILLISECONDS));
      }
    };
    void poll();
    return () => {
      ended = true;
      made.dispose();
      stage.current = null;
    };
  }, [api, store]);

  useEffect(() => stage.current?.repaint(), [theme]);
  useEffect(() => stage.current?.setCube(cube), [cube]);

  const status = store.status;
  const recent = recentFailover(store);
  const newest = store.failovers[store.failovers.length - 1];
  const fresh = newest !== undefined && performance.now() / 1000 - store.newsAt < SCATTER_SECONDS;
  const looks = status?.tori.map((torus, index): TorusLook => ({
    epochsPerSecond: store.connection === "live" ? store.rates.epochs[index] || 0 : 0,
    // A rebuild takes some tens of milliseconds: shown as they are, nobody would see it.
    scattered: !torus.running || (fresh && newest!.tori.includes(index)),
    grown: 0,
  }));
  useEffect(() => {
    if (looks) stage.current?.showLook(looks);
  });

  const drag = (event: PointerEvent): void => {
    if (event.buttons === 1) stage.current?.orbit(event.movementX * 0.006, event.movementY * 0.004);
  };
  const keys = (event: KeyboardEvent): void => {
    const turns: Record<string, [number, number]> = {
      ArrowLeft: [-KEY_STEP, 0], ArrowRight: [KEY_STEP, 0], ArrowUp: [0, KEY_STEP], ArrowDown: [0, -KEY_STEP],
    };
    const turn = turns[event.key];
    if (!turn) return;
    event.preventDefault();
    stage.current?.orbit(...turn);
  };
  const fastest = Math.max(0, ...store.rates.epochs.filter(Number.isFinite));
  const worth = BraidRing.dotWorth(fastest);
  return (
    <div className="stage">
      <canvas ref={canvas} tabIndex={0} role="img" onPointerMove={drag} onKeyDown={keys}
        aria-label="The three tori on the ring of the braid; arrow keys turn the view. The numbers are in the section Tori." />
      {failure && <p className="flat">{failure}</p>}
      {!failure && status?.tori.map((torus, index) => {
        const { word, tone } = torusState(status, index, recent);
        return (
          <div key={index} ref={(element) => { tags.current[index] = element; }} className={`tag ${TORUS_CLASSES[index]}`} aria-hidden="true">
            <b>{TORUS_NAMES[index]}</b>
            <span>
              {tone !== "good" ? <i className="state">{word}</i> : (
                <>
                  on {store.nameOf(torus.host)}
                  <span className="rate"> · {short(store.rates.events[index] ?? NaN)} events/s</span>
                </>
              )}
            </span>
          </div>
        );
      })}
      {!failure && (
        <div className="legend">
          <p>
            {darkWords(store, unseen) && <strong className="dark">{darkWords(store, unseen)}</strong>}
            <span className="explained">
              Each torus is 32 × 32 × 32 cells: the more events happen in one, the more it stands out. At the seam its faces
              x = 0 and x = 31 touch the neighbours. A dot on the braid
              is {worth > 1.05 ? `${worth.toFixed(1)} projections` : "a projection"}, what a torus tells the others when an
              epoch ends: {short(fastest)} a second now.
            </span>
          </p>
          <div>
            <div className="segment" role="group" aria-label="shape of the lattices">
              <button aria-pressed={!cube} onClick={() => setCube(false)}>Tori</button>
              <button aria-pressed={cube} onClick={() => setCube(true)}>Cubes</button>
            </div>
          </div>
        </div>
      )}
    </div>
  );
}
