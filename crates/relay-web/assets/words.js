// What the page says, in words, and whether this browser can play at all.

/** The words for each state in which there is no moving picture; `wait` shows a spinner. */
const NOTICES = {
  connecting: { wait: true, title: "" },
  buffering: { wait: true, light: true, title: "" },
  waiting: { wait: true, title: "The broadcast paused", text: "Still connected: it goes on here by itself." },
  offline: { title: "Not live yet", text: "This page starts by itself when the stream does." },
  ended: { title: "The stream has ended", text: "If it comes back, it starts here by itself." },
  reconnecting: { wait: true, title: "Connection lost", text: "Trying again by itself." },
  full: { wait: true, title: "This server is busy", text: "It takes no more viewers at the moment. Trying again by itself." },
  refused: { title: "This stream is not open to you", text: "The server asks for a permission that this page does not have.", action: "Try again" },
  paused: { title: "Paused", action: "Back to live" },
  blocked: { title: "Ready to play", text: "This browser starts a video only when asked to.", action: "Play" },
  failed: { title: "This stream cannot be played", text: "The browser could not decode it, several times in a row.", action: "Try again" },
  unsupported: { title: "This stream cannot be played here" },
};

/** Names for the beginnings of codec strings, and for what mpegts.js says of codecs it does not know. */
const CODECS = [
  [/hvc1|hev1|hevc/i, "H.265 (HEVC)"],
  [/vvc1|vvi1/i, "H.266 (VVC)"],
  [/av01/i, "AV1"],
  [/vp09/i, "VP9"],
  [/vp08/i, "VP8"],
  [/avc1|avc3/i, "H.264"],
  [/opus/i, "Opus"],
  [/flac/i, "FLAC"],
  [/ac-3|ec-3/i, "Dolby Digital"],
  [/mp4a/i, "AAC"],
  [/mp3/i, "MP3"],
  [/video frame: 2$/, "Sorenson H.263"],
  [/video frame: [45]$/, "VP6"],
  [/audio codec idx: (4|5|6)$/, "Nellymoser audio"],
  [/audio codec idx: 11$/, "Speex"],
];

/** What to say in `state`; `text`, where given, is said in place of the usual second sentence. */
export function notice(state, text) {
  const words = NOTICES[state];
  return words && text ? { ...words, text } : words;
}

/** A codec's name for people, from a codec string or an error's message. */
export function codecName(text) {
  return CODECS.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}

/** Why a stream with these codecs does not play here. */
export function codecSentence(names) {
  const what = names.length ? names.join(" and ") : "a codec";
  return `It is encoded as ${what}, which this browser cannot decode. Another browser or device may; `
    + "H.264 with AAC plays everywhere.";
}

/** Why this browser cannot play any stream, or nothing if it can. */
export function whyNoPlayback() {
  const player = window.mpegts;
  if (!player) return "The player did not load. Reload this page to try again.";
  const features = player.getFeatureList();
  if (player.isSupported() && features.mseLivePlayback) return null;
  if (isAppleHandheld()) {
    return "On an iPhone or iPad this needs iOS 17.1 or newer. Update it in Settings, or open this page on a computer or an Android phone.";
  }
  if (!window.MediaSource && !window.ManagedMediaSource) {
    return "This browser lacks Media Source Extensions. A current Chrome, Edge, Firefox or Safari has them.";
  }
  if (!features.msePlayback) {
    return "This browser cannot decode H.264 video with AAC sound. A current Chrome, Edge, Firefox or Safari can.";
  }
  return "This browser cannot read a live stream over HTTP. A current Chrome, Edge, Firefox or Safari can.";
}

/** iPads call themselves Macs, but no Mac has a touch screen. */
function isAppleHandheld() {
  const { userAgent, maxTouchPoints } = navigator;
  return /iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1);
}
