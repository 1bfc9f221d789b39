// One viewer's way to a stream: connects, watches over it, and comes back after every kind of end.

import { LiveEdge, latency, newestTime } from "./edge.js";
import { codecName, codecSentence, whyNoPlayback } from "./words.js";

/** Milliseconds between two looks at the video. */
const TICK = 200;
/** The first pause before another try, in milliseconds; it doubles with each. */
const BACKOFF_FIRST = 500;
/** The longest pause: a thousand waiting pages are then some 250 small requests a second, and start within 5 s. */
const BACKOFF_MAX = 5_000;
/** Milliseconds for which an answer to the small question "is it live?" is waited for. */
const PROBE_TIME = 8_000;
/** A stall becomes visible as a spinner after this many milliseconds: shorter ones only flicker. */
const SPINNER_AFTER = 400;
/** No new media for so many milliseconds: the broadcaster has paused, and the page says so. */
const QUIET_AFTER = 4_000;
/** No new media for so many milliseconds, which is beyond any grace of the server: connect afresh. */
const SILENT_AFTER = 25_000;
/** A paused player keeps its connection so many milliseconds; after that it would only burden the server. */
const PAUSE_HELD = 30_000;
/** So many milliseconds of moving picture forgive what went wrong before. */
const STEADY_AFTER = 4_000;
/** Decoding errors in a row until the page gives up. */
const DECODE_TRIES = 5;
/** States that only a person ends, or that a tab shown again must not disturb. */
const STOPPED = new Set(["refused", "failed", "unsupported", "paused", "blocked"]);
/** Seconds of played media kept, so that the buffer of a day-long stream does not grow. */
const KEEP_BEHIND = 20;

/** Plays the stream that is to be had at `places` in `video`, and calls `changed()` when `state`, `detail` or `info` are new. */
export class Session {
  /** connecting, live, buffering, waiting, paused, blocked, offline, ended, reconnecting, full, refused, failed or unsupported. */
  state = "connecting";
  /** A sentence to say with the state, where the usual one will not do. */
  detail = "";
  /** What is known of the stream: `bitrate` in bit/s, `fps`. */
  info = { bitrate: 0, fps: 0 };
  mediaErrors = 0;
  reconnects = 0;

  #video;
  #places;
  #changed;
  #player = null;
  #edge;
  #tries = 0;
  #decodeErrors = 0;
  #pending = 0;
  #codecs = [];
  #hadPicture = false;
  #started = false;
  #wantsPause = false;
  #pausedAt = 0;
  #since = 0;
  #newest = 0;
  #newestAt = 0;
  #stalledAt = 0;
  #frames = { decoded: 0, dropped: 0 };

  constructor(video, places, changed) {
    this.#video = video;
    this.#places = places;
    this.#changed = changed;
    this.#edge = new LiveEdge(video);
    video.addEventListener("error", () => this.#videoFailed());
    video.addEventListener("pause", () => this.#pausedByBrowser());
    document.addEventListener("visibilitychange", () => this.#shown());
    window.addEventListener("online", () => this.#retrySoon());
    setInterval(() => this.#tick(performance.now()), TICK);
  }

  /** Begins, or begins again after an end that waits for a person. */
  start() {
    const why = whyNoPlayback();
    if (why) {
      this.#enter("unsupported", why);
      return;
    }
    window.mpegts.LoggingControl.enableVerbose = false;
    this.#tries = 0;
    this.#decodeErrors = 0;
    this.#enter("connecting");
    this.#connect();
  }

  /** Seconds behind the newest media that has arrived. */
  get latency() {
    return this.#player ? latency(this.#video) : 0;
  }

  get decodedFrames() {
    return this.#frames.decoded + this.#quality().totalVideoFrames;
  }

  get droppedFrames() {
    return this.#frames.dropped + this.#quality().droppedVideoFrames;
  }

  /** Stops the picture, if there is one to stop. */
  pause() {
    if (!this.#started || this.#pending) return;
    this.#wantsPause = true;
    this.#pausedAt = performance.now();
    this.#video.pause();
    this.#enter("paused");
  }

  /** Goes on after a pause, at the live edge. */
  resume() {
    this.#wantsPause = false;
    if (this.#pending) {
      this.#retrySoon();
      return;
    }
    if (!this.#player) {
      this.start();
      return;
    }
    this.#newestAt = performance.now();
    this.#enter(this.#started ? "live" : "connecting");
    if (this.#started) this.#edge.jump(performance.now());
    this.#play();
  }

  #quality() {
    const none = { totalVideoFrames: 0, droppedVideoFrames: 0 };
    return this.#player ? this.#video.getVideoPlaybackQuality?.() ?? none : none;
  }

  #enter(state, detail = "") {
    if (state === this.state && detail === this.detail) return;
    this.state = state;
    this.detail = detail;
    this.#changed();
  }

  // The connection.

  #connect() {
    this.#close();
    this.#codecs = [];
    this.#since = this.#newestAt = performance.now();
    const { Events, createPlayer } = window.mpegts;
    const player = createPlayer({ type: "flv", isLive: true, url: this.#places.url }, {
      enableStashBuffer: false,
      autoCleanupMaxBackwardDuration: KEEP_BEHIND * 2,
      autoCleanupMinBackwardDuration: KEEP_BEHIND,
    });
    this.#player = player;
    // Whatever a player that was closed still has to say is of no interest.
    const listen = (event, hear) => player.on(event, (...said) => player === this.#player && hear(...said));
    listen(Events.ERROR, (kind, detail, more) => this.#playerFailed(kind, detail, more));
    listen(Events.LOADING_COMPLETE, () => this.#ended());
    listen(Events.MEDIA_INFO, (info) => this.#learn(info));
    listen(Events.STATISTICS_INFO, (info) => this.#measure(info));
    player.attachMediaElement(this.#video);
    player.load();
    this.#play();
  }

  #close() {
    clearTimeout(this.#pending);
    this.#pending = 0;
    if (!this.#player) return;
    const { totalVideoFrames, droppedVideoFrames } = this.#quality();
    this.#frames.decoded += totalVideoFrames;
    this.#frames.dropped += droppedVideoFrames;
    const player = this.#player;
    this.#player = null;
    this.#started = false;
    this.#newest = 0;
    this.#stalledAt = 0;
    this.#video.playbackRate = 1;
    this.info.bitrate = 0;
    player.destroy();
  }

  async #play() {
    try {
      await this.#video.play();
    } catch (refusal) {
      // AbortError only says that a newer load overtook this call.
      if (refusal.name === "NotAllowedError" && this.#player && !this.#wantsPause) this.#enter("blocked");
    }
  }

  /** Tries again elsewhere: this node is gone, or is full and knows no other. */
  #retryElsewhere(state, detail) {
    this.#places.change();
    this.#retry(state, detail);
  }

  /** Tries again after a pause that grows, with jitter so that thousands of pages do not come back in one instant. */
  #retry(state, detail) {
    this.#enter(state, detail);
    const longest = Math.min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** this.#tries);
    this.#tries += 1;
    clearTimeout(this.#pending);
    this.#pending = setTimeout(() => this.#probe(), longest * (0.5 + Math.random() / 2));
  }

  #retrySoon() {
    if (!this.#pending) return;
    clearTimeout(this.#pending);
    this.#pending = setTimeout(() => this.#probe(), Math.random() * BACKOFF_FIRST);
  }

  /** Asks whether the stream is there before the last picture is given up for it. */
  async #probe() {
    this.#pending = 0;
    const waiting = new AbortController();
    const limit = setTimeout(() => waiting.abort(), PROBE_TIME);
    try {
      const answer = await fetch(this.#places.url, { method: "HEAD", cache: "no-store", signal: waiting.signal });
      if (this.#wantsPause) return;
      if (!answer.ok) {
        this.#answered(answer.status);
        return;
      }
      if (this.#hadPicture) this.reconnects += 1;
      this.#connect();
    } catch {
      if (!this.#wantsPause) this.#retryElsewhere("reconnecting");
    } finally {
      clearTimeout(limit);
    }
  }

  /** The server said no, and with `status` why. */
  #answered(status) {
    if (status === 401 || status === 403) {
      this.#close();
      this.#enter("refused");
    } else if (status === 404 || status === 410) this.#retry(this.#hadPicture ? "ended" : "offline");
    else if (status === 429 || status === 503) this.#retryElsewhere("full");
    else this.#retry("reconnecting", `The server answered with status ${status}. Trying again by itself.`);
  }

  /** The response came to its true end. What has arrived is played out before the words cover it. */
  #ended() {
    const rest = this.#wantsPause ? 0 : Math.min(3, this.latency) * 1000;
    const player = this.#player;
    setTimeout(() => {
      if (player !== this.#player || this.#leaveIfPaused()) return;
      this.#video.pause();
      this.#retry(this.#hadPicture ? "ended" : "reconnecting");
    }, rest);
  }

  // What goes wrong.

  #playerFailed(kind, detail, more) {
    const { ErrorTypes, ErrorDetails } = window.mpegts;
    if (this.#leaveIfPaused()) return;
    if (kind === ErrorTypes.NETWORK_ERROR) {
      this.#video.pause();
      if (detail === ErrorDetails.NETWORK_STATUS_CODE_INVALID) this.#answered(more.code);
      else this.#retryElsewhere("reconnecting");
      return;
    }
    this.mediaErrors += 1;
    if (detail === ErrorDetails.MEDIA_CODEC_UNSUPPORTED) this.#refuseCodecs([codecName(more?.msg ?? String(more))]);
    else this.#judgeMediaError(more?.msg ?? "");
  }

  /** What ends in a pause is begun afresh when the pause ends, and not before. */
  #leaveIfPaused() {
    if (this.#wantsPause) this.#close();
    return this.#wantsPause;
  }

  #videoFailed() {
    const { error } = this.#video;
    // Taking a source away is reported as an error too; only one of a running player counts.
    if (!error || !this.#player || !(this.#video.src || this.#video.srcObject)) return;
    this.mediaErrors += 1;
    this.#judgeMediaError(error.message);
  }

  /** A codec that the browser lacks will not come by trying; anything else may have been a damaged moment. */
  #judgeMediaError(message) {
    const player = this.#player;
    // The list of codecs may arrive just behind the error.
    setTimeout(() => {
      if (player !== this.#player || !player) return;
      const lacking = this.#codecs.filter((codec) => !isPlayable(codec));
      if (lacking.length || /addSourceBuffer|not supported|unsupported/i.test(message)) {
        this.#refuseCodecs((lacking.length ? lacking : [message]).map(codecName));
        return;
      }
      this.#decodeErrors += 1;
      this.#close();
      if (this.#decodeErrors >= DECODE_TRIES) this.#enter("failed");
      else this.#retry("reconnecting", "The stream could not be decoded for a moment. Trying again by itself.");
    }, 100);
  }

  #refuseCodecs(names) {
    this.#close();
    this.#enter("unsupported", codecSentence(names.filter(Boolean)));
  }

  #learn({ videoCodec, audioCodec, fps, hasVideo }) {
    this.#codecs = [videoCodec && `video/mp4;codecs=${videoCodec}`, audioCodec && `audio/mp4;codecs=${audioCodec}`].filter(Boolean);
    this.info.fps = hasVideo && Number.isFinite(fps) ? fps : 0;
    this.#changed();
  }

  /** The library reports the last second's bytes, which swing with each keyframe: show a running mean. */
  #measure({ speed }) {
    const now = speed * 8 * 1024;
    if (now > 0) this.info.bitrate = this.info.bitrate ? this.info.bitrate * 0.8 + now * 0.2 : now;
  }

  // The watch over a running picture.

  #tick(now) {
    if (this.#player) {
      this.#lookForFirstPicture();
      this.#lookForMedia(now);
    }
    if (this.#player && this.#unwatched()) {
      if (now - this.#pausedAt > PAUSE_HELD) this.#close();
    } else if (this.#started && !this.#pending && this.state !== "blocked") {
      this.#edge.follow(now);
      this.#judge(now);
    }
  }

  /** Whether nobody can be watching: paused by a person, or by the browser in a tab that is put away. */
  #unwatched() {
    return this.#wantsPause || (document.hidden && this.#video.paused && !this.#pending);
  }

  #lookForFirstPicture() {
    if (this.#started || this.#video.readyState < 2 || this.#video.paused) return;
    const pictures = this.#video.videoWidth === 0 || this.#quality().totalVideoFrames > 0;
    if (!pictures && this.#video.currentTime === 0) return;
    this.#started = true;
    this.#hadPicture = true;
    this.#since = performance.now();
  }

  #lookForMedia(now) {
    const newest = newestTime(this.#video);
    if (newest !== this.#newest) {
      this.#newest = newest;
      this.#newestAt = now;
    } else if (now - this.#newestAt > SILENT_AFTER && !this.#pending && !this.#wantsPause) {
      this.#retryElsewhere("reconnecting");
    }
  }

  /** Decides between live, buffering and waiting. */
  #judge(now) {
    if (this.#pending) return;
    if (this.#video.readyState >= 3) {
      this.#stalledAt = 0;
      this.#enter("live");
      if (now - this.#since > STEADY_AFTER) this.#tries = this.#decodeErrors = 0;
      return;
    }
    if (!this.#stalledAt) {
      this.#stalledAt = now;
      if (!this.#video.seeking && this.state === "live") this.#edge.stalled(now);
    }
    if (now - this.#newestAt > QUIET_AFTER) this.#enter("waiting");
    else if (now - this.#stalledAt > SPINNER_AFTER) this.#enter("buffering");
  }

  /** Browsers pause videos of their own accord, such as in a tab that is put away; nobody asked for that. */
  #pausedByBrowser() {
    this.#pausedAt = performance.now();
    if (this.#wantsPause || this.#pending || !this.#started || document.hidden) return;
    if (!this.#video.ended) this.#play();
  }

  #shown() {
    this.#pausedAt = performance.now();
    if (document.hidden || this.#wantsPause || this.#pending || STOPPED.has(this.state)) return;
    if (!this.#player) {
      this.start();
      return;
    }
    if (this.#video.paused) this.#play();
    if (this.#started) this.#edge.jump(performance.now());
  }
}

/** Whether the browser has a decoder for this type. */
function isPlayable(type) {
  return (window.MediaSource ?? window.ManagedMediaSource).isTypeSupported(type);
}
