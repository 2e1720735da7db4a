// Plays the first song of the page: page.mjs URL [SCREENSHOT]
//
// Prints one JSON object: how it ended, and what the page fetched and complained of.

import { withPage } from "./chromium.mjs";

const [url, screenshot] = process.argv.slice(2);
const result = await withPage(async (page, seen) => {
  await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
  await page.goto(url);
  await page.locator("#songs button").first().click();
  await page.waitForFunction(() => document.querySelector("#audio").currentTime > 1, null, { timeout: 20_000 });
  if (screenshot) await page.screenshot({ path: screenshot });
  const outcome = await page.evaluate(async () => {
    const audio = document.querySelector("#audio");
    const ended = new Promise((resolve) => audio.addEventListener("ended", resolve, { once: true }));
    audio.currentTime = audio.duration / 2;
    audio.playbackRate = 8;
    const timeout = new Promise((resolve) => setTimeout(resolve, 60_000));
    await Promise.race([ended, timeout]);
    return {
      ended: audio.ended,
      duration: audio.duration,
      message: document.querySelector("#message").textContent,
      source: audio.currentSrc.split(":")[0],
    };
  });
  return { ...outcome, ...seen };
});
console.log(JSON.stringify(result));
