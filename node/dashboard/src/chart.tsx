// A line a torus over the last ten minutes, drawn by uPlot.
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import type { Series } from "./data/series.ts";
import type { Theme } from "./theme.ts";

const POINTS_SHOWN_MAX = 3;

interface Props {
  series: Series;
  names: readonly string[];
  colors: readonly string[]; // names of CSS variables
  format: (value: number) => string;
  version: number; // changes when the series does
  theme: Theme;
  label: string; // for those who do not see it
  height?: number;
}

/// Two seconds of a day make no line.
const isSparse = (plot: uPlot, index: number): boolean =>
  Array.from(plot.data[index]! as ArrayLike<number | null>).filter((value) => value !== null).length <= POINTS_SHOWN_MAX;

export function Chart({ series, names, colors, format, version, theme, label, height = 132 }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  useEffect(() => {
    const element = holder.current!;
    const style = getComputedStyle(document.documentElement);
    const color = (name: string): string => style.getPropertyValue(name).trim();
    const font = "11px system-ui, sans-serif";
    const axis: uPlot.Axis = { stroke: color("--faint"), font, grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { points: { size: 5 }, y: false, drag: { setScale: false } },
        padding: [8, 26, 0, 0], // the last time stands in the middle under its line
        scales: { y: { range: (_, __, high) => [0, high > 0 ? high * 1.12 : 1] } },
        axes: [
          { ...axis, grid: { show: false }, size: 22, space: 90,
            values: (_, splits) => splits.map((time) => new Date(time * 1000).toTimeString().slice(0, (splits[1] ?? 60) - splits[0]! < 60 ? 8 : 5)) },
          { ...axis, size: 52, space: 34, values: (_, splits) => splits.map((value) => format(value)) },
        ],
        series: [{}, ...names.map((name, index) => ({ label: name, stroke: color(colors[index]!), width: 1.5, points: { show: isSparse, size: 5 } }))],
      },
      series.table(),
      element,
    );
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [theme, series, height]);
  useEffect(() => {
    if (!document.hidden) plot.current?.setData(series.table());
  }, [version, series]);
  return <div ref={holder} className="chart" role="img" aria-label={label} style={{ height }} />;
}
