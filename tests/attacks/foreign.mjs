// What a page of another origin gets of a gateway: foreign.mjs PORT RECORD ORIGINAL SEGMENT
//
// Prints one JSON object: the status of each request, or "blocked" where the browser tells the page
// nothing.

import { createServer } from "node:http";

import { chromium } from "playwright-core";

const [port, record, original, segment] = process.argv.slice(2);
const gateway = `http://127.0.0.1:${port}`;
const FORM = `<form method="post" enctype="text/plain" action="${gateway}/songs?name=n&author=a">
  <input name="RIFF" value="x"></form>`;
const server = createServer((_, response) => {
  response.writeHead(200, { "Content-Type": "text/html" }).end(FORM);
});
server.listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  headless: true,
  chromiumSandbox: process.getuid() !== 0,
  args: [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
  ],
});
try {
  const page = await browser.newPage();
  const ask = (url, options) =>
    page.evaluate(
      ([url, options]) => fetch(url, options).then(
        (response) => response.status,
        () => "blocked",
      ),
      [url, options],
    );
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const seen = {
    list: await ask(`${gateway}/songs`),
    original: await ask(gateway + original),
    patch: await ask(gateway + record, { method: "PATCH", body: '{"name": "taken"}' }),
    delete: await ask(gateway + record, { method: "DELETE" }),
    upload: await ask(`${gateway}/uploads`, {
      method: "POST",
      headers: { "Tus-Resumable": "1.0.0", "Upload-Length": "10" },
    }),
    segment: await ask(gateway + segment),
  };
  const [response] = await Promise.all([
    page.waitForNavigation(),
    page.evaluate(() => document.forms[0].submit()),
  ]);
  seen.form = response.status();
  seen.rebound = (await page.goto(`http://evil.example:${port}/songs`)).status();
  await page.goto(`${gateway}/`);
  seen.own = await ask(`${gateway}/songs`);
  seen.own_delete = await ask(`${gateway}/songs/none`, { method: "DELETE" });
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}
