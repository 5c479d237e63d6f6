// What all measurements of tests/web share.
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const PAGE_BYTES = 4096;

export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
export const stateOf = async (origin) => (await fetch(`${origin}/api/v1/state`)).json();
export const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
}

export const median = (values) => quantile(values, 0.5);

/// Of a process that runs here.
export const residentBytes = (pid) => Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES;

/// What says with which right a page of `url` may change something.
export const authorizationOf = (url) => ({ authorization: new URL(url).hash.replace("#token=", "Bearer ") });

/// One on loopback that nobody listens on now: nodes take none but a port of their own.
export function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}
