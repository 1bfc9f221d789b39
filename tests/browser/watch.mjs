// Plays a page in headless Chromium and says what came of it, as one line of JSON.
//
//   node watch.mjs NODE_MODULES CHROMIUM URL SECONDS SCREENSHOT
//
// The page shows its figures as `window.relayStats`; what it does not show is read off its <video>.

import { launch } from "./chromium.mjs";

const [modules, executablePath, url, seconds, screenshot] = process.argv.slice(2);

// The longest wait for the picture to come and then to advance.
const patience = 60_000;

const browser = await launch(modules, executablePath);
const complaints = [];
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("requestfailed", (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`));
  await page.goto(url, { waitUntil: "domcontentloaded" });
  const playing = () => (document.querySelector("video")?.currentTime ?? 0) > 0;
  await page.waitForFunction(playing, null, { timeout: patience });
  const start = await page.evaluate(() => document.querySelector("video").currentTime);
  const goal = start + Number(seconds);
  const advanced = (goal) => document.querySelector("video").currentTime >= goal;
  await page.waitForFunction(advanced, goal, { timeout: patience, polling: 100 });
  const seen = await page.evaluate(() => {
    const video = document.querySelector("video");
    const quality = video.getVideoPlaybackQuality();
    return {
      stats: { ...window.relayStats },
      currentTime: video.currentTime,
      error: video.error?.message ?? null,
      dropped: quality.droppedVideoFrames,
      frames: quality.totalVideoFrames,
      width: video.videoWidth,
      muted: video.muted,
    };
  });
  await page.screenshot({ path: screenshot });
  console.log(JSON.stringify({ ...seen, start, complaints }));
} catch (error) {
  console.log(JSON.stringify({ failure: String(error), complaints }));
  process.exitCode = 1;
} finally {
  await browser.close();
}
