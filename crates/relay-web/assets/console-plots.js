// The last minutes as small plots: viewers, what they are sent, and the uplink.

import { bits, count, part } from "./console-words.js";

/** Snapshots that are kept: five minutes. */
const KEPT = 300;

/** Height of a plot in pixels. */
const HEIGHT = 120;

/** Seconds between two marks of the time axis. */
const MARK = 60;

/** What is plotted; `least` is the least top of its scale, so that marks between nothing and one thing need no fractions. */
const plots = [
  { name: "Viewers", words: count, least: 10, value: (seen) => seen.viewers.pool },
  { name: "Sent to viewers", words: bits, least: 1_000, value: (seen) => seen.egress.pool },
  { name: "Uplink given away", words: part, least: 0.1, value: (seen) => seen.uplink.share },
];
const times = [];

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach((plot) => plot.chart?.redraw()));

/** Adds a snapshot to each plot. One of a figure that is not known stays away. */
export function addToPlots(place, seen) {
  if (!window.uPlot) return;
  times.push(seen.time_ms / 1000);
  if (times.length > KEPT) times.shift();
  for (const plot of plots) {
    plot.values ??= [];
    plot.values.push(plot.value(seen));
    if (plot.values.length > KEPT) plot.values.shift();
    const known = plot.values.some((value) => value !== null);
    if (!known || times.length < 2) continue;
    if (!plot.chart) begin(place, plot);
    plot.chart.setData([times, plot.values]);
    plot.figure.setAttribute("aria-label", `${plot.name}, now ${plot.words(plot.values.at(-1) ?? 0)}`);
  }
}

function begin(place, plot) {
  plot.figure = document.createElement("figure");
  plot.figure.setAttribute("role", "img");
  const caption = document.createElement("figcaption");
  caption.textContent = plot.name;
  plot.figure.append(caption);
  place.append(plot.figure);
  const colour = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  plot.chart = new window.uPlot({
    width: plot.figure.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { range: (_, least, most) => [most - KEPT, most] }, y: { range: (_, least, most) => [0, Math.max(most * 1.15, plot.least)] } },
    axes: [
      { ...axis, size: 24, incrs: [MARK], space: 44, values: (_, marks) => marks.map(clock) },
      { ...axis, size: 76, space: 34, values: (_, marks) => marks.map((mark) => plot.words(mark)) },
    ],
    series: [{}, { stroke: colour("--focus"), width: 2, points: { show: false } }],
  }, [times, plot.values], plot.figure);
  new ResizeObserver(() => {
    const width = plot.figure.clientWidth;
    if (width && width !== plot.chart.width) plot.chart.setSize({ width, height: HEIGHT });
  }).observe(plot.figure);
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}
