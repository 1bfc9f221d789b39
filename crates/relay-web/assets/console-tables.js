// The console's tables: columns, rows, and putting them on the page without disturbing what has not changed.

import { bits, bytes, count, part, span } from "./console-words.js";

/** Rows on the page: more is no help to a person, and work for the browser each second. */
const MOST_ROWS = 200;

/** How much of an edge's id is shown: what its verbs need. */
const ID = 8;

/** The heads of each table. */
export const columns = {
  streams: ["Stream", "State", "Viewers here", "Rate", "Last tag", "Received", "Memory"],
  sources: ["Stream", "State", "For", "From", "Why"],
  edges: ["Edge", "State", "Why", "Viewers", "Sends", "Room", "Lag", "Version", "Where viewers reach it, and what the probe found"],
  joins: ["Outcome", "Since the start"],
  admissions: ["Decision", "Since the start"],
};

export function streamRow(row) {
  const silent = row.silent_seconds ?? 0;
  const state = row.playable ? (silent > 5 ? "silent" : "live") : "waiting";
  const cells = [
    row.stream, state, count(row.viewers), bits(row.peak_bits),
    row.silent_seconds === null ? "never" : silent < 1 ? "now" : `${span(Math.round(silent))} ago`,
    bytes(row.bytes), bytes(row.log_bytes),
  ];
  return { key: row.stream, level: state === "silent" ? "alarm" : "", cells };
}

export function sourceRow({ stream, state, seconds, url, why }) {
  const level = { flowing: "", standby: "notice" }[state] ?? (seconds < 10 ? "" : "warning");
  return { key: stream, level, cells: [stream, state, span(seconds), url, why] };
}

export function edgeRow(row) {
  const bad = ({ health }) => /^(bad|unreachable)/.test(health);
  const level = { lost: row.draining ? "" : "alarm", unreachable: "alarm", full: "warning", draining: "notice" }[row.state]
    ?? (row.endpoints.some(bad) ? "warning" : "");
  const used = row.capacity ? ` (${part(1 - row.headroom / row.capacity)} used)` : "";
  // What was true of a lost one says nothing of now.
  const now = (text) => (row.state === "lost" ? "" : text);
  const cells = [
    row.id.slice(0, ID), row.state, row.why + (row.parent ? `; its media comes from ${row.parent.slice(0, ID)}` : ""),
    now(count(row.viewers)), now(bits(row.egress)), now(bits(row.headroom) + used),
    row.lag_ms === null ? "" : now(`${count(row.lag_ms)} ms`), row.version,
    row.endpoints.map(({ url, health }) => `${url} ${health}`).join("\n"),
  ];
  return { key: row.id, level, cells };
}

export function joinRow({ outcome, count: times }) {
  return { key: outcome, level: "", cells: [outcome.replaceAll("_", " "), count(times)] };
}

/** Decisions in the shape of outcomes: `refused: uplink`. */
export function decisions(rows) {
  return rows.map(({ decision, reason, count: times }) => ({ outcome: `${decision}: ${reason}`, count: times }));
}

/** Fills the table of that id. `leftOut` is what the snapshot itself does not list. */
export function table(id, heads, list, toRow, leftOut, nothing) {
  const found = document.getElementById(id);
  if (!found.tHead) found.prepend(head(heads));
  found.hidden = list.length === 0;
  const body = found.tBodies[0];
  const old = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const rows = list.slice(0, MOST_ROWS).map((entry) => {
    const { key, level, cells } = toRow(entry);
    const row = old.get(key) ?? make(key, heads, cells);
    if (row.dataset.level !== level) row.dataset.level = level;
    cells.forEach((text, place) => {
      const cell = row.cells[place];
      if (cell.textContent !== text) cell.textContent = text;
    });
    return row;
  });
  if (rows.length !== body.rows.length || rows.some((row, place) => row !== body.rows[place])) body.replaceChildren(...rows);
  say(`${id}-more`, list.length === 0 ? nothing : remainder(leftOut + list.length - rows.length));
}

function remainder(more) {
  return more ? `And ${count(more)} more, no worse than these.` : "";
}

function say(id, text) {
  const line = document.getElementById(id);
  if (!line) return;
  line.textContent = text;
  line.hidden = !text;
}

function head(heads) {
  const made = document.createElement("thead");
  const row = made.insertRow();
  for (const text of heads) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = text;
    row.append(cell);
  }
  return made;
}

/** A row, its first cell a heading; each cell knows its column's name, for where there is no room for columns. */
function make(key, heads, cells) {
  const row = document.createElement("tr");
  row.dataset.key = key;
  cells.forEach((_, place) => {
    const cell = document.createElement(place ? "td" : "th");
    if (!place) cell.scope = "row";
    cell.dataset.label = heads[place];
    row.append(cell);
  });
  return row;
}
