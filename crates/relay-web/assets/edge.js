// Keeps a video near the newest media it has: by playing a little faster, and by a seek when that would take too long.

/** Seconds behind the newest media at which playback is meant to be: enough for the jitter of a fair network. */
const TARGET = 1.2;
/** The target after stalls, at most: a network that stalls needs more in hand, but the delay stays below 3 s. */
const TARGET_MAX = 1.7;
/** How much one stall adds to the target. */
const TARGET_STEP = 0.25;
/** After so many milliseconds without a stall the target is the first one again. */
const TARGET_FORGET = 60_000;
/** Catching up begins when the delay is so far above the target, and ends at the target: no flutter between the two. */
const RATE_BAND = 0.15;
/** The fastest playback: 10 % is not heard in speech. */
const RATE_MAX = 1.1;
/** With less than so many seconds in hand, playback is a little slower until it has `CUSHION_FULL`: a hurried join begins
 *  with next to nothing in hand, and the first hitch of the network would be seen. */
const CUSHION = 0.6;
const CUSHION_FULL = 1;
/** The slowest playback, while gathering the cushion. */
const RATE_MIN = 0.96;
/** Further above the target than this, a seek takes the place of 10 s or more of hurried sound. */
const SEEK_BEYOND = 1.1;
/** Seeks come at least so many milliseconds apart: each costs the decoder a run-up from a keyframe. */
const SEEK_PAUSE = 1_000;
/** A hidden tab may drift so many seconds behind before it is moved, only to keep its buffer small. */
const HIDDEN_DRIFT = 10;
/** Two buffered ranges further apart than this many seconds are a gap in the stream, to be jumped. */
const GAP = 0.05;

/** The newest stretch of buffered media, or nothing. */
function newest(video) {
  const { buffered } = video;
  const last = buffered.length - 1;
  return last < 0 ? null : { start: buffered.start(last), end: buffered.end(last) };
}

/** Seconds between what is shown and the newest buffered media. */
export function latency(video) {
  const range = newest(video);
  return range ? Math.max(0, range.end - video.currentTime) : 0;
}

/** The end of the newest buffered media, which grows as long as media arrives. */
export function newestTime(video) {
  return newest(video)?.end ?? 0;
}

/** Follows the live edge of one video element; call `follow` several times a second. */
export class LiveEdge {
  #video;
  #target = TARGET;
  #stalled = -Infinity;
  #sought = -Infinity;

  constructor(video) {
    this.#video = video;
  }

  /** Takes note of a stall: keep a little more in hand for a while. */
  stalled(now) {
    this.#stalled = now;
    this.#target = Math.min(TARGET_MAX, this.#target + TARGET_STEP);
  }

  /** One step. Not to be called before the first picture: a seek then can leave the player waiting for ever. */
  follow(now) {
    const range = newest(this.#video);
    if (!range || this.#video.paused) return;
    if (now - this.#stalled > TARGET_FORGET) this.#target = TARGET;
    if (this.#stuckAtGap(range)) {
      this.#seek(Math.max(range.start + 0.01, range.end - this.#target), now);
      return;
    }
    const ahead = range.end - this.#video.currentTime - this.#target;
    if (ahead > this.#drift()) {
      this.jump(now);
    } else {
      this.#adjustRate(ahead);
    }
  }

  /** Goes to the live edge at once, such as when a tab is shown again or a pause ends. */
  jump(now) {
    const range = newest(this.#video);
    if (!range || now - this.#sought < SEEK_PAUSE) return;
    const place = Math.max(range.start + 0.01, range.end - this.#target);
    if (place - this.#video.currentTime > RATE_BAND) this.#seek(place, now);
  }

  #drift() {
    return document.hidden ? HIDDEN_DRIFT : SEEK_BEYOND;
  }

  /** True where playback has come to a hole in the stream, with newer media behind it. */
  #stuckAtGap(range) {
    const { video, at } = { video: this.#video, at: this.#video.currentTime };
    if (at >= range.start || video.seeking) return false;
    for (let i = 0; i < video.buffered.length; i += 1) {
      if (at >= video.buffered.start(i) && at < video.buffered.end(i) - GAP) return false;
    }
    return true;
  }

  #adjustRate(ahead) {
    const video = this.#video;
    const inHand = ahead + this.#target;
    const { playbackRate: rate } = video;
    let wanted = 1;
    if (ahead > RATE_BAND || (ahead > 0 && rate > 1)) wanted = Math.min(RATE_MAX, 1 + ahead / 10);
    else if (inHand < CUSHION || (inHand < CUSHION_FULL && rate < 1)) wanted = RATE_MIN;
    // Small changes are not worth the work: each makes the browser set up its sound anew.
    if (Math.abs(wanted - rate) > 0.01 || wanted === 1) video.playbackRate = wanted;
  }

  #seek(place, now) {
    this.#sought = now;
    this.#video.playbackRate = 1;
    this.#video.currentTime = place;
  }
}
