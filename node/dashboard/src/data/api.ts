// The node's HTTP API: docs/reference/http.md. Answers for people are sentences; nothing here throws.
import type { Store } from "./store.ts";
import type { Capabilities, History, PastSeries, State } from "./wire.ts";

const SILENCE_SECONDS = 3; // the stream speaks several times a second
const RETRY_MILLISECONDS = 1000;
const CELLS = 32768;

export interface Processes {
  total: number;
  processes: { pid: string; cell: number; program: string; value: string }[];
}

export interface Cells {
  levels: Uint8Array;
  corrective: number; // events so far
}

interface Answer {
  error?: { text?: string };
  text?: string;
}

export class Api {
  capabilities: Capabilities = { kill: false, restart: false, inject: false };
  private readonly token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

  constructor(private readonly store: Store) {}

  start(): void {
    this.connect();
    void this.fetchPast();
    setInterval(() => this.store.noteSilence(SILENCE_SECONDS), 500);
  }

  private connect(): void {
    const stream = new EventSource("/api/v1/events");
    stream.addEventListener("state", (event) => {
      const state = JSON.parse((event as MessageEvent<string>).data) as State;
      const may = this.token !== "";
      this.capabilities = {
        inject: may && state.capabilities.inject, kill: may && state.capabilities.kill, restart: may && state.capabilities.restart,
      };
      this.store.takeState(state.nodes);
    });
    // The browser tries again by itself, unless the answer was an error.
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => this.connect(), RETRY_MILLISECONDS);
    };
  }

  /// What happened before the page was opened.
  private async fetchPast(): Promise<void> {
    const incidents = await this.ask("GET", "/api/v1/incidents");
    if (incidents.ok) this.store.takePast(((await incidents.json()) as { histories: History[] }).histories);
    const series = await this.series(600);
    if (series) this.store.takePastSeries(series);
  }

  /// undefined: no node has kept anything, or none answers.
  async series(spanSeconds: number): Promise<PastSeries | undefined> {
    const answer = await this.ask("GET", `/api/v1/series?span=${spanSeconds}`);
    return answer.ok ? ((await answer.json()) as PastSeries) : undefined;
  }

  /// undefined: the torus cannot be seen now, for example because it is being rebuilt or no daemon of this machine is linked with its host.
  async cells(torus: number): Promise<Cells | undefined> {
    const answer = await this.ask("GET", `/api/v1/cells?torus=${torus}`);
    if (!answer.ok) return undefined;
    const bytes = await answer.arrayBuffer();
    if (bytes.byteLength !== CELLS + 8) return undefined;
    return { levels: new Uint8Array(bytes, 0, CELLS), corrective: Number(new DataView(bytes).getBigUint64(CELLS, true)) };
  }

  async processes(torus: number): Promise<Processes | string> {
    const answer = await this.ask("GET", `/api/v1/processes?torus=${torus}`);
    const body = (await answer.json()) as Answer & { count_total?: string; processes?: Processes["processes"] };
    return body.processes ? { total: Number(body.count_total), processes: body.processes } : body.error?.text ?? "no answer";
  }

  async control(verb: "kill" | "restart", node: string): Promise<string> {
    return this.words(await this.ask("POST", `/api/v1/${verb}?node=${encodeURIComponent(node)}`));
  }

  async inject(torus: number, cell: number, payload: number): Promise<string> {
    const answer = await this.ask("POST", "/api/v1/inject", { torus, dst: cell, payload });
    const body = (await answer.clone().json()) as { status?: string; sealed_in?: string; latency_nanoseconds?: string };
    if (body.status === undefined) return this.words(answer);
    const latency = Math.round(Number(body.latency_nanoseconds) / 1e6);
    return body.status === "ACCEPTED" ? `accepted in epoch ${body.sealed_in}, after ${latency} ms` : `not taken: ${body.status.toLowerCase().replaceAll("_", " ")}`;
  }

  private async words(answer: Response): Promise<string> {
    const body = (await answer.json()) as Answer;
    return body.error?.text ?? body.text ?? "";
  }

  private async ask(method: string, path: string, body?: unknown): Promise<Response> {
    try {
      const headers = { ...(this.token && method === "POST" ? { authorization: `Bearer ${this.token}` } : {}) };
      return await fetch(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    } catch {
      return Response.json({ error: { text: "the node does not answer" } }, { status: 599 });
    }
  }
}
