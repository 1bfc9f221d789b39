// Chromium as the tests drive it: headless, asking nobody but the page's own server for anything.

import { createRequire } from "node:module";
import path from "node:path";

/** Starts the browser at `executablePath` by the playwright-core in the folder `modules`. */
export function launch(modules, executablePath) {
  const { chromium } = createRequire(path.join(modules, "x.js"))("playwright-core");
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
      "--disable-quic",
      "--autoplay-policy=no-user-gesture-required",
    ],
  });
}
