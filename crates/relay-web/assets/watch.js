// The player page: joins the session, the tools over the picture, and the words and figures around it.

import { Places } from "./places.js";
import { Session } from "./session.js";
import { bindControls } from "./controls.js";
import { bindShare } from "./share.js";
import { notice } from "./words.js";

/** Milliseconds between two updates of the figures: often enough to be live, seldom enough to be read. */
const FIGURES = 500;
/** Milliseconds until a page that is still connecting says so: a good network is faster than a spinner. */
const SPINNER_AFTER = 500;
/** States in which nothing moves and nothing can be paused or made louder. */
const WORDS_ONLY = new Set(["connecting", "offline", "ended", "reconnecting", "full", "refused", "failed", "unsupported", "blocked"]);

const element = (id) => document.getElementById(id);
const root = document.documentElement;
const player = element("player");
const video = element("video");
const name = streamName();
let connectingShown = false;

const session = new Session(video, new Places(name), show);

root.classList.toggle("embed", new URLSearchParams(location.search).get("embed") === "1");
root.classList.remove("starting");
video.muted = true;
bindControls(player, video, session);
bindShare(name);
element("name").textContent = name;
element("notice").addEventListener("click", () => element("notice-action").hidden || act());
video.addEventListener("volumechange", show);
setInterval(showFigures, FIGURES);
setTimeout(() => {
  connectingShown = true;
  show();
}, SPINNER_AFTER);
exposeStats();
show();
session.start();

/** `app/name` from this page's own address; the server allows no character in it that needs escaping. */
function streamName() {
  const path = location.pathname.replace(/^\/watch\//, "").replace(/\/+$/, "");
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function act() {
  if (session.state === "paused" || session.state === "blocked") session.resume();
  else session.start();
}

/** Brings words, badges and title in line with the session's state. */
function show() {
  const { state } = session;
  player.dataset.state = state;
  player.dataset.stage = WORDS_ONLY.has(state) ? "words" : "picture";
  const silent = state === "connecting" && !connectingShown;
  showNotice(silent ? undefined : notice(state, session.detail));
  element("unmute").hidden = !video.muted || WORDS_ONLY.has(state) || state === "paused";
  const live = state === "live" || state === "buffering";
  for (const id of ["badge", "bar-badge"]) {
    element(id).dataset.live = live;
    element(id).textContent = badge(state);
  }
  document.title = `${name} · ${badge(state)}`;
  showFigures();
}

function badge(state) {
  const words = { live: "Live", buffering: "Live", connecting: "Connecting", waiting: "Waiting", paused: "Paused", offline: "Offline", ended: "Ended", reconnecting: "Reconnecting", full: "Busy" };
  return words[state] ?? "Not playing";
}

function showNotice(words) {
  element("notice").hidden = !words;
  if (!words) return;
  element("notice").dataset.light = Boolean(words.light);
  element("spinner").hidden = !words.wait;
  element("notice-title").textContent = words.title;
  element("notice-text").textContent = words.text ?? "";
  element("notice-action").hidden = !words.action;
  element("notice-action").textContent = words.action ?? "";
}

function showFigures() {
  const playing = session.state === "live" || session.state === "buffering";
  const { bitrate, fps } = session.info;
  const delay = playing ? `${session.latency.toFixed(1)} s` : "–";
  element("delay").textContent = delay;
  element("bar-delay").textContent = playing ? `${delay} behind` : "";
  element("bitrate").textContent = playing && bitrate ? `${(bitrate / 1e6).toFixed(bitrate < 1e6 ? 2 : 1)} Mbit/s` : "–";
  element("picture").textContent = playing ? picture(fps) : "–";
}

function picture(fps) {
  if (!video.videoWidth) return "sound only";
  const rate = fps > 0 ? `, ${Math.round(fps)} fps` : "";
  return `${video.videoWidth} × ${video.videoHeight}${rate}`;
}

/** Figures for tests and for the curious, read at the moment they are asked for. */
function exposeStats() {
  const read = {
    state: () => session.state,
    currentTime: () => video.currentTime,
    latency: () => session.latency,
    playbackRate: () => video.playbackRate,
    decodedFrames: () => session.decodedFrames,
    droppedFrames: () => session.droppedFrames,
    mediaErrors: () => session.mediaErrors,
    reconnects: () => session.reconnects,
    bitrate: () => session.info.bitrate,
  };
  window.relayStats = {};
  for (const [key, get] of Object.entries(read)) Object.defineProperty(window.relayStats, key, { get, enumerable: true });
}
