// An event from outside, into any cell of any torus.
import { useState, type FormEvent } from "react";
import { usePage } from "../data/context.ts";
import { TORUS_NAMES } from "../data/wire.ts";

export function Inject() {
  const { api } = usePage();
  const [answer, setAnswer] = useState("");
  const send = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const number = (name: string): number => Number(form.get(name));
    const torus = number("torus");
    const cell = torus * 32768 + number("x") * 1024 + number("y") * 32 + number("z");
    setAnswer("on its way …");
    setAnswer(await api.inject(torus, cell, number("payload")));
  };
  return (
    <form className="form" onSubmit={(event) => void send(event)}>
      <label>torus
        <select name="torus">{TORUS_NAMES.map((name, index) => <option key={name} value={index}>{name}</option>)}</select>
      </label>
      {["x", "y", "z"].map((axis) => (
        <label key={axis}>{axis}<input name={axis} type="number" min={0} max={31} defaultValue={0} required /></label>
      ))}
      <label>payload<input name="payload" type="number" min={-2147483648} max={2147483647} defaultValue={1} required /></label>
      <button className="primary" disabled={!api.capabilities.inject}>Inject</button>
      <p className="answer" role="status" style={{ flexBasis: "100%" }}>
        {answer || (api.capabilities.inject ? "Two nodes hold it before any torus uses it." : "This page may only look: open it with a token to inject.")}
      </p>
    </form>
  );
}
