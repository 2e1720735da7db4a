// Plays the last second of songs: tails.mjs PLAYER URL [PLAYER URL]...
//
// One browser, and a page for each player, which plays its songs one after another. Prints a JSON
// array: what `pages/scenario.js` saw of each song, in the order of the arguments.

import { withPages } from "./chromium.mjs";
import { play, withSite } from "./site.mjs";

const all = process.argv.slice(2);
const songs = [];
for (let index = 0; index < all.length; index += 2) songs.push({ player: all[index], url: all[index + 1] });
const players = new Set(songs.map(({ player }) => player));

await withSite((address) =>
  withPages((open) =>
    Promise.all(
      Array.from(players, async (player) => {
        const { page } = await open();
        for (const song of songs.filter((song) => song.player === player)) {
          song.seen = await play(page, address, "end", player, song.url);
        }
      }),
    ),
  ),
);
console.log(JSON.stringify(songs.map(({ seen }) => seen)));
