// Opens the console in headless Chromium and says, a line each, when it sees what the story waits for.
//
//   node console.mjs NODE_MODULES CHROMIUM URL EDGE SCREENSHOT
//
// `well {…}`: all is well, with what the page shows and complains of by then. `lost {…}`: the edge whose id begins so is named
// in the headline. `gone {…}`: the page says that nobody answers. `back {…}`: it shows snapshots again, by itself.

import { launch } from "./chromium.mjs";

const [modules, executablePath, url, edge, screenshot] = process.argv.slice(2);

// The longest wait for each of them.
const patience = 60_000;

const browser = await launch(modules, executablePath);
const complaints = [];
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1100 } });
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));

  const headline = (text) => document.getElementById("headline").textContent.includes(text);
  const badge = (text) => document.getElementById("link").textContent === text;
  const until = (glance, text) => page.waitForFunction(glance, text, { timeout: patience, polling: 50 });
  const say = async (what) => {
    const seen = await page.evaluate(() => ({
      headline: document.getElementById("headline").textContent,
      announced: document.getElementById("announcer").textContent,
      sentences: [...document.querySelectorAll("#sentences li")].map((item) => item.textContent),
      edges: [...document.querySelectorAll("#edges tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent)),
      streams: document.querySelectorAll("#streams tbody tr").length,
      plots: document.querySelectorAll("#plots canvas").length,
      wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    }));
    console.log(`${what} ${JSON.stringify({ ...seen, complaints })}`);
  };

  await page.goto(url, { waitUntil: "domcontentloaded" });
  await until(headline, "All is well: 2 edges");
  await until(() => document.querySelectorAll("#plots canvas").length > 1);
  await say("well");
  await page.screenshot({ path: screenshot, fullPage: true });

  // By the probe it may be known to be unreachable before it is known to be lost.
  await until(headline, edge);
  await until(headline, "is lost");
  await say("lost");

  // As it is seen on a phone, in the dark.
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 390, height: 844 });
  await until(() => [...document.querySelectorAll("#plots canvas")].every((plot) => plot.clientWidth < innerWidth));
  await page.screenshot({ path: screenshot.replace(/\.png$/, "-phone.png"), fullPage: true });
  await say("phone");

  await until(badge, "Reconnecting");
  await say("gone");
  await until(badge, "Live");
  await say("back");
} catch (error) {
  console.log(`failure ${JSON.stringify({ failure: String(error), complaints })}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
