// Plays a playlist with a player that runs in a browser: browser.mjs PLAYER URL
//
// The page comes from another origin than the playlist. Prints one JSON object: what
// `pages/scenario.js` saw, and what the page fetched.

import { withPage } from "./chromium.mjs";
import { play, withSite } from "./site.mjs";

const [player, url] = process.argv.slice(2);
const result = await withSite((address) =>
  withPage(async (page, seen) => ({ ...(await play(page, address, "run", player, url)), ...seen })),
);
console.log(JSON.stringify(result));
