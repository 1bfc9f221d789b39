// The console: listens to the node's snapshots, one a second, and shows each.

import { columns, decisions, edgeRow, joinRow, sourceRow, streamRow, table } from "./console-tables.js";
import { addToPlots } from "./console-plots.js";
import { bits, count, part, span, spell } from "./console-words.js";

/** Milliseconds without a snapshot after which the connection counts as gone: three were due. */
const SILENCE = 4_000;

/** Milliseconds between two attempts to come back. */
const RETRY = 2_000;

const element = (id) => document.getElementById(id);
let source = null;
let heard = 0;
let tried = 0;
let announced = "";

listen();
setInterval(watch, 1_000);

/** Opens the stream of snapshots. A browser comes back by itself only from some failures, so it is done here for all. */
function listen() {
  source?.close();
  tried = Date.now();
  source = new EventSource("api/v1/events");
  source.onmessage = ({ data }) => {
    heard = Date.now();
    show(JSON.parse(data));
    connection(true);
  };
  source.onerror = () => source.close();
}

/** Says when nothing came for a while, and tries again. */
function watch() {
  const now = Date.now();
  if (now - heard < SILENCE) return;
  connection(false);
  if (now - tried >= RETRY && (source.readyState === EventSource.CLOSED || now - tried >= 2 * SILENCE)) listen();
}

function connection(good) {
  element("link").textContent = good ? "Live" : "Reconnecting";
  element("link").dataset.good = good;
  document.body.dataset.stale = !good;
  if (good) return;
  const since = heard ? ` Below is how it stood ${span(Math.round((Date.now() - heard) / 1000))} ago.` : "";
  const gone = "The relay does not answer, or the way to it is closed.";
  headline("alarm", `${gone} This page comes back by itself.${since}`, gone);
}

function show(seen) {
  element("program").textContent = `${seen.program} ${seen.version}`;
  element("age").textContent = `up ${span(seen.uptime_seconds)}`;
  const [first, ...rest] = seen.health;
  headline(first.level, first.text);
  element("sentences").hidden = rest.length === 0;
  element("sentences").replaceChildren(...rest.map(({ level, text }) => {
    const item = document.createElement("li");
    item.dataset.level = level;
    spell(item, text);
    return item;
  }));
  figures(seen);
  addToPlots(element("plots"), seen);
  const pool = seen.tokens_live !== null;
  element("edges-part").hidden = !pool;
  table("streams", columns.streams, seen.streams, streamRow, seen.streams_left_out, "No stream is live.");
  const sources = seen.sources ?? [];
  element("sources-part").hidden = sources.length === 0;
  table("sources", columns.sources, sources, sourceRow, 0, "");
  if (pool) table("edges", columns.edges, seen.edges, edgeRow, seen.edges_left_out, "No edge has joined.");
  table("joins", columns.joins, seen.joins, joinRow, 0, "Nobody yet.");
  table("admissions", columns.admissions, decisions(seen.admissions), joinRow, 0, "Nobody yet.");
}

/** Shows how it stands. It is read aloud only when more changes than its figures, not each second. */
function headline(level, text, essence = text.replace(/[\d.,]+/g, "")) {
  spell(element("headline"), text);
  element("health").dataset.level = level;
  document.title = level === "well" || level === "idle" ? "Relay console" : `(!) ${text.replaceAll("`", "")}`;
  if (essence === announced) return;
  announced = essence;
  spell(element("announcer"), text);
}

function figures(seen) {
  const { viewers, egress, uplink } = seen;
  const pool = seen.tokens_live !== null;
  const list = [["Viewers", count(viewers.pool), pool ? `${count(viewers.here)} of them here` : ""]];
  if (seen.room !== null) list.push(["Room for", count(seen.room), `more, of ${bits(seen.viewer_bits)} each`]);
  list.push(["Sent to viewers", bits(egress.pool), pool ? `${bits(egress.here)} of it from here` : ""]);
  if (pool) list.push(["Copies to edges", bits(uplink.to_edges), "sent from here"]);
  if (uplink.configured === null) {
    list.push(["Given away", bits(uplink.committed), pool ? "set uplink in [origin] to judge it" : ""]);
  } else {
    list.push([pool ? "Uplink" : "Capacity", part(uplink.share), `${bits(uplink.committed)} of ${bits(uplink.configured)} given away`]);
  }
  if (pool) list.push(["Join tokens", count(seen.tokens_live), "that are good"]);
  element("figures").replaceChildren(...list.map(([name, value, note]) => {
    const group = document.createElement("div");
    for (const [tag, text] of [["dt", name], ["dd", value], ["dd", note]]) {
      const line = document.createElement(tag);
      line.textContent = text;
      group.append(line);
    }
    return group;
  }));
}
