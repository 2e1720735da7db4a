// Chromium with pages in it, and what each page fetched and complained of.

import { chromium } from "playwright-core";

const ARGUMENTS = [
  "--autoplay-policy=no-user-gesture-required",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Runs `use` with a page. The browser, and its folder, are gone afterwards. */
export function withPage(use) {
  return withPages(async (open) => {
    const { page, seen } = await open();
    return use(page, seen);
  });
}

/** Runs `use` with a function that opens a page. The browser, and its folder, are gone afterwards. */
export async function withPages(use) {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    headless: true,
    chromiumSandbox: process.getuid() !== 0,
    args: ARGUMENTS,
  });
  try {
    return await use(() => watched(browser));
  } finally {
    await browser.close();
  }
}

async function watched(browser) {
  const page = await browser.newPage({ viewport: { width: 800, height: 600 } });
  const seen = { fetched: [], failed: [], complaints: [] };
  page.on("response", (response) => {
    seen.fetched.push(response.url());
    if (response.status() >= 400) seen.failed.push(`${response.status()} ${response.url()}`);
  });
  // A request that a player gives up, because it seeks, is no failure.
  page.on("requestfailed", (request) => {
    const { errorText } = request.failure();
    if (errorText !== "net::ERR_ABORTED") seen.failed.push(`${errorText} ${request.url()}`);
  });
  page.on("pageerror", (error) => seen.complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") seen.complaints.push(message.text());
  });
  return { page, seen };
}
