// Loads a song with Shaka Player and watches what it appends: shaka.mjs URL [SETTINGS]
//
// SETTINGS is a JSON object for `shaka.Player.configure`. Prints a JSON array, an object for each
// media segment that was appended, in order; `pages/scenario.js` describes them.

import { withPage } from "./chromium.mjs";
import { play, withSite } from "./site.mjs";

const [url, settings = "{}"] = process.argv.slice(2);
const seen = await withSite((address) =>
  withPage((page) => play(page, address, "appended", "shaka", url, JSON.parse(settings))),
);
console.log(JSON.stringify(seen));
