// The store and the node's API, for all panels.
import { createContext, useContext, useSyncExternalStore } from "react";
import type { Api } from "./api.ts";
import type { Store } from "./store.ts";

export interface Page {
  store: Store;
  api: Api;
}

export const PageContext = createContext<Page | null>(null);

/// Draws the caller again whenever the store has changed.
export function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("a panel outside of PageContext");
  useSyncExternalStore(page.store.subscribe, page.store.snapshot);
  return page;
}
