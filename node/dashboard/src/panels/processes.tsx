// The first processes of a torus, asked for when someone wants to see them.
import { useEffect, useState } from "react";
import type { Processes as Answer } from "../data/api.ts";
import { usePage } from "../data/context.ts";
import { TORUS_NAMES } from "../data/wire.ts";
import { grouped } from "../format.ts";

const REFRESH_MILLISECONDS = 3000;

export function cellWords(cell: number): string {
  return `${TORUS_NAMES[cell >> 15] ?? "?"} ${(cell >> 10) & 31} ${(cell >> 5) & 31} ${cell & 31}`;
}

export function Processes() {
  const { api, store } = usePage();
  const [torus, setTorus] = useState(0);
  const [answer, setAnswer] = useState<Answer | string>("asking …");
  const host = store.status?.view.hosts[torus];
  const answers = host !== undefined && store.answering.includes(host);
  useEffect(() => {
    if (host === undefined) return;
    if (!answers) {
      const where = `Torus ${TORUS_NAMES[torus]} is on ${store.nameOf(host)}`;
      return setAnswer(`${where}, which answers no questions here: a guest, or a node of another machine.`);
    }
    let ended = false;
    const ask = async (): Promise<void> => {
      if (document.hidden) return;
      const got = await api.processes(torus);
      if (!ended) setAnswer(got);
    };
    void ask();
    const timer = setInterval(() => void ask(), REFRESH_MILLISECONDS);
    return () => {
      ended = true;
      clearInterval(timer);
    };
  }, [api, store, torus, host, answers]);
  return (
    <>
      <div className="form" style={{ marginBottom: "0.7rem" }}>
        <div className="segment" role="group" aria-label="torus">
          {TORUS_NAMES.map((name, index) => (
            <button key={name} aria-pressed={torus === index} onClick={() => setTorus(index)}>{name}</button>
          ))}
        </div>
        <span className="quiet">
          {typeof answer === "object" ? `${grouped(answer.total)} processes. ` : ""}
          A process stays with its torus; a torus moves whole, by itself, to a node that joins or takes over. Neither can be moved by hand yet.
        </span>
      </div>
      {typeof answer === "string" ? <p className="soft">{answer}</p> : (
        <div className="scroll history">
          <table>
            <caption className="hidden">processes of torus {TORUS_NAMES[torus]}</caption>
            <thead>
              <tr><th scope="col">pid</th><th scope="col">cell</th><th scope="col">program</th><th scope="col" className="number">value</th></tr>
            </thead>
            <tbody>
              {answer.processes.map((process) => (
                <tr key={process.pid}>
                  <td className="mono">{BigInt(process.pid).toString(16)}</td>
                  <td>{cellWords(process.cell)}</td>
                  <td>{process.program}</td>
                  <td className="number">{grouped(process.value)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
