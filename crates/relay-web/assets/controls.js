// The tools laid over the picture, and the keys that do the same.

/** The tools vanish after so many milliseconds without a movement. */
const IDLE_AFTER = 2_500;

const element = (id) => document.getElementById(id);

/** Joins buttons and keys to `video` and `session`. */
export function bindControls(player, video, session) {
  const toggles = {
    play: () => (video.paused ? session.resume() : session.pause()),
    mute: () => toggleMute(video),
    fullscreen: () => toggleFullscreen(player, video),
  };
  for (const [id, toggle] of Object.entries(toggles)) element(id).addEventListener("click", toggle);
  element("unmute").addEventListener("click", () => toggleMute(video));
  video.addEventListener("click", (event) => {
    // A finger's touch brings the tools back, and must not also stop the picture.
    if (video.muted) toggles.mute();
    else if (event.pointerType !== "touch") toggles.play();
  });
  video.addEventListener("dblclick", toggles.fullscreen);
  bindVolume(video);
  bindKeys(toggles);
  hideWhenIdle(player);
  const show = () => showState(player, video);
  for (const event of ["play", "pause", "volumechange"]) video.addEventListener(event, show);
  document.addEventListener("fullscreenchange", show);
  element("fullscreen").hidden = !canFullscreen(player, video);
  show();
}

function toggleMute(video) {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) video.volume = 1;
}

function canFullscreen(player, video) {
  return Boolean(document.fullscreenEnabled || player.webkitRequestFullscreen || video.webkitEnterFullscreen);
}

/** iPhones show only a video element itself in full screen. A refusal leaves all as it was, which is answer enough. */
function toggleFullscreen(player, video) {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (player.requestFullscreen) player.requestFullscreen().catch(() => {});
  else if (video.webkitEnterFullscreen) video.webkitEnterFullscreen();
}

function bindVolume(video) {
  const slider = element("volume");
  slider.addEventListener("input", () => {
    video.volume = Number(slider.value);
    video.muted = video.volume === 0;
  });
}

/** Space or K: pause; M: mute; F: full screen. Not while a field or button has the focus and uses the key itself. */
function bindKeys(toggles) {
  const keys = { " ": toggles.play, k: toggles.play, m: toggles.mute, f: toggles.fullscreen };
  document.addEventListener("keydown", (event) => {
    const toggle = keys[event.key.toLowerCase()];
    if (!toggle || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input[type=text]") || (event.key === " " && event.target.closest("button, a, input"))) return;
    event.preventDefault();
    toggle();
  });
}

function hideWhenIdle(player) {
  let timer = 0;
  const stir = () => {
    player.classList.remove("idle");
    clearTimeout(timer);
    timer = setTimeout(() => player.classList.add("idle"), IDLE_AFTER);
  };
  for (const event of ["pointermove", "pointerdown", "keydown"]) player.addEventListener(event, stir);
  player.addEventListener("pointerleave", () => player.classList.add("idle"));
  stir();
}

/** Brings labels and icons in line with the video. */
function showState(player, video) {
  const full = Boolean(document.fullscreenElement);
  player.dataset.paused = video.paused;
  player.dataset.muted = video.muted;
  player.dataset.full = full;
  element("play").ariaLabel = video.paused ? "Play" : "Pause";
  element("mute").ariaLabel = video.muted ? "Unmute" : "Mute";
  element("fullscreen").ariaLabel = full ? "Leave full screen" : "Full screen";
  element("volume").value = video.muted ? 0 : video.volume;
}
