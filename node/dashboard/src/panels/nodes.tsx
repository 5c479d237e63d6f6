// Who is there: what each does, and when it last proved that it lives.
import { useState } from "react";
import { usePage } from "../data/context.ts";
import { TORUS_NAMES } from "../data/wire.ts";
import { age, bytes } from "../format.ts";
import { nodeRows, TORUS_CLASSES, type NodeRow } from "./words.ts";

export function Nodes() {
  const { store, api } = usePage();
  const [answer, setAnswer] = useState("");
  const rows = nodeRows(store);
  const measured = rows.some((row) => store.measures.has(row.node));
  const { kill, restart } = api.capabilities;
  const act = (verb: "kill" | "restart", row: NodeRow) => async (): Promise<void> => {
    setAnswer(verb === "kill" ? `killing ${row.name} …` : `starting ${row.name} …`);
    setAnswer(await api.control(verb, row.name));
  };
  return (
    <>
      <div className="scroll">
        <table>
          <caption className="hidden">nodes of the cluster</caption>
          <thead>
            <tr>
              <th scope="col">node</th><th scope="col">state</th><th scope="col">tori</th><th scope="col">role</th>
              <th scope="col" className="number">last proof of life</th>
              {measured && <><th scope="col" className="number">load</th><th scope="col" className="number">memory</th></>}
              {(kill || restart) && <th scope="col"><span className="hidden">actions</span></th>}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => {
              const measure = store.measures.get(row.node);
              return (
                <tr key={row.node} data-node={row.name}>
                  <th scope="row">{row.name}</th>
                  <td><span className={`state ${row.tone}`}>{row.state}</span></td>
                  <td>{row.tori.length === 0 ? "–" : row.tori.map((torus) => <span key={torus} className={`badge ${TORUS_CLASSES[torus]}`}>{TORUS_NAMES[torus]}</span>)}</td>
                  <td>{row.role}</td>
                  <td className="number">{row.self ? "now" : age(row.silenceSeconds)}</td>
                  {measured && (
                    <>
                      <td className="number">
                        {measure && row.tone === "good" && Number.isFinite(measure.load) ? `${Math.round(measure.load * 100)} %` : "–"}
                        <span className="meter" aria-hidden="true">
                          <i style={{ width: `${measure && row.tone === "good" ? Math.min(100, (measure.load || 0) * 100) : 0}%` }} />
                        </span>
                      </td>
                      <td className="number">{measure && row.tone === "good" ? bytes(measure.residentBytes) : "–"}</td>
                    </>
                  )}
                  {(kill || restart) && (
                    <td className="number">
                      <span className="actions">
                        {kill && row.tone === "good" && <button className="danger" onClick={act("kill", row)} aria-label={`kill node ${row.name}`}>Kill</button>}
                        {restart && row.tone !== "good" && <button onClick={act("restart", row)} aria-label={`restart node ${row.name}`}>Restart</button>}
                      </span>
                    </td>
                  )}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {(kill || restart) && <p className="answer" role="status">{answer || "Kill is a real SIGKILL of a real process."}</p>}
    </>
  );
}
