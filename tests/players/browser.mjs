// Plays a playlist with a player that runs in a browser: browser.mjs PLAYER URL
//
// The page comes from another origin than the playlist. Prints one JSON object: what
// `pages/scenario.js` saw, and what the page fetched.

import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

import { withPage } from "./chromium.mjs";

const FOLDERS = { "/node_modules/": "../node_modules/", "/": "pages/" };
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript" };

function serve(request, response) {
  // A URL has no dots that lead upwards once it is parsed.
  const { pathname } = new URL(request.url, "http://localhost");
  const [prefix, folder] = Object.entries(FOLDERS).find(([prefix]) => pathname.startsWith(prefix));
  const file = fileURLToPath(new URL(folder + pathname.slice(prefix.length), import.meta.url));
  const stream = createReadStream(file);
  stream.on("error", () => response.writeHead(404).end());
  stream.on("open", () => {
    response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
    stream.pipe(response);
  });
}

const [name, url] = process.argv.slice(2);
const server = createServer(serve).listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
try {
  const result = await withPage(async (page, seen) => {
    await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
    await page.goto(`http://127.0.0.1:${server.address().port}/index.html`);
    const outcome = await page
      .evaluate(
        async ([name, url]) => {
          const { run } = await import("/scenario.js");
          const { player } = await import(`/${name}.js`);
          return run(player, url);
        },
        [name, url],
      )
      .catch((error) => ({ stopped: error.message }));
    return { ...outcome, ...seen };
  });
  console.log(JSON.stringify(result));
} finally {
  server.close();
  server.closeAllConnections();
}
