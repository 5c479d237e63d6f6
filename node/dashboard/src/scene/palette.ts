// Colours of the scene, taken from the page's style sheet, which is the one place that knows them.

export interface Palette {
  accents: string[]; // of A, B, C
  hot: string[]; // of cells that are very busy
  rest: string; // of what is quiet or gone
  line: string;
  restAlpha: number;
  glowAlpha: number;
  additive: boolean; // light adds up on a dark page and would drown on a light one
}

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const value = (name: string): string => style.getPropertyValue(name).trim();
  const dark = value("--scheme") !== "light";
  return {
    accents: [value("--a"), value("--b"), value("--c")],
    hot: [value("--a-hot"), value("--b-hot"), value("--c-hot")],
    rest: value("--rest"),
    line: value("--line-strong"),
    restAlpha: dark ? 0.25 : 0.5,
    glowAlpha: dark ? 0.7 : 0.95,
    additive: dark,
  };
}
