// The pages of `pages/` and the players of `node_modules`, on an origin of their own.

import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

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

/** Runs `use` with the URL of the page that players run on. The server is gone afterwards. */
export async function withSite(use) {
  const server = createServer(serve).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    return await use(`http://127.0.0.1:${server.address().port}/index.html`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** Opens the page and runs `name` of `pages/scenario.js` with a player. Returns what was seen. */
export async function play(page, address, name, player, ...rest) {
  await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
  await page.goto(address);
  return page
    .evaluate(
      async ([name, file, rest]) => {
        const scenarios = await import("/scenario.js");
        const { player } = await import(`/${file}.js`);
        return scenarios[name](player, ...rest);
      },
      [name, player, rest],
    )
    .catch((error) => ({ stopped: error.message }));
}
