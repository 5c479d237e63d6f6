// Begins: the store, the node's stream, the page.
import "uplot/dist/uPlot.min.css";
import "./app.css";
import { createRoot } from "react-dom/client";
import { Api } from "./data/api.ts";
import { PageContext } from "./data/context.ts";
import { Store } from "./data/store.ts";
import { Dashboard } from "./page.tsx";

const store = new Store();
const api = new Api(store);
api.start();
createRoot(document.getElementById("root")!).render(
  <PageContext.Provider value={{ store, api }}>
    <Dashboard />
  </PageContext.Provider>,
);
