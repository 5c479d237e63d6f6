// Dark or light: as the system says, until someone chooses otherwise.
import { useEffect, useLayoutEffect, useState } from "react";

export type Theme = "dark" | "light";

const KEY = "rse-theme";
const SYSTEM = matchMedia("(prefers-color-scheme: light)");

function chosen(): Theme | undefined {
  try {
    const value = localStorage.getItem(KEY);
    return value === "dark" || value === "light" ? value : undefined;
  } catch {
    return undefined; // storage may be forbidden
  }
}

export function useTheme(): [Theme, () => void] {
  const [choice, setChoice] = useState(chosen);
  const [system, setSystem] = useState<Theme>(SYSTEM.matches ? "light" : "dark");
  useEffect(() => {
    const follow = (): void => setSystem(SYSTEM.matches ? "light" : "dark");
    SYSTEM.addEventListener("change", follow);
    return () => SYSTEM.removeEventListener("change", follow);
  }, []);
  const theme = choice ?? system;
  // Before the effects of what reads the colours: the charts, the scene.
  useLayoutEffect(() => {
    document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  const toggle = (): void => {
    const other = theme === "dark" ? "light" : "dark";
    setChoice(other);
    try {
      localStorage.setItem(KEY, other);
    } catch {
      // then it holds for this visit
    }
  };
  return [theme, toggle];
}
