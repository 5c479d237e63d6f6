// The links of the node that answers this page.
import { usePage } from "../data/context.ts";
import { age, bytes, milliseconds } from "../format.ts";

export function Links() {
  const { store } = usePage();
  const links = store.status?.links ?? [];
  if (links.length === 0) return <p className="soft">This node has no links.</p>;
  return (
    <div className="scroll">
      <table>
        <caption className="hidden">links of this node</caption>
        <thead>
          <tr>
            <th scope="col">to</th><th scope="col">by</th><th scope="col">cipher</th>
            <th scope="col" className="number">heard</th><th scope="col" className="number">round trip</th>
            <th scope="col" className="number">99 %</th><th scope="col" className="number">loss</th><th scope="col" className="number">sent</th>
            <th scope="col" className="number">received</th><th scope="col">state</th>
          </tr>
        </thead>
        <tbody>
          {links.map((link) => {
            const sent = Number(link.packets_sent);
            return (
              <tr key={`${link.peer} ${link.transport} ${link.address}`}>
                <td>{store.nameOf(link.peer)}</td>
                <td>{link.transport}</td>
                <td>{!link.connected ? "–" : link.cipher || (link.transport === "ivshmem" ? "this machine" : "none")}</td>
                <td className="number">{link.connected ? age(Number(link.silence_nanoseconds) / 1e9) : "–"}</td>
                <td className="number">{milliseconds(Number(link.rtt_p50_nanoseconds) / 1e6 || NaN)}</td>
                <td className="number">{milliseconds(Number(link.rtt_p99_nanoseconds) / 1e6 || NaN)}</td>
                <td className="number">{sent > 0 ? ((100 * Number(link.packets_lost)) / sent).toFixed(2) + " %" : "–"}</td>
                <td className="number">{bytes(Number(link.bytes_sent))}</td>
                <td className="number">{bytes(Number(link.bytes_received))}</td>
                <td><span className={`state ${link.connected ? "good" : "bad"}`}>{link.connected ? "up" : "down"}</span></td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
