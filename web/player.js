// Lists the songs and plays one: natively where the browser knows HLS, else through Media Source
// Extensions, which take our segments as they are.

const audio = document.querySelector("#audio");
const list = document.querySelector("#songs");
const message = document.querySelector("#message");
const search = document.querySelector("#search");

/** Seconds of sound to hold ahead of and behind the listener. */
const AHEAD = 30;
const BEHIND = 30;

let playback = new AbortController();

async function fetchOk(url, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`${response.status} for ${url}`);
  return response;
}

/** The lines of a playlist, with each URI resolved against the playlist's own. */
async function playlist(url, signal) {
  const text = await (await fetchOk(url, signal)).text();
  return text.split("\n").map((line) => line.trim()).filter(Boolean)
    .map((line) => (line.startsWith("#") ? line : new URL(line, url).href));
}

/** The first variant of a multivariant playlist: the one to begin with (RFC 8216 §4.3.4.2). */
async function variant(url, signal) {
  const lines = await playlist(url, signal);
  const index = lines.findIndex((line) => line.startsWith("#EXT-X-STREAM-INF:"));
  const codecs = /CODECS="([^"]*)"/.exec(lines[index])[1];
  return { codecs, url: lines[index + 1] };
}

async function segments(url, signal) {
  const lines = await playlist(url, signal);
  const found = [];
  let init, duration, start = 0;
  for (const line of lines) {
    const map = /^#EXT-X-MAP:.*URI="([^"]*)"/.exec(line);
    if (map) init = new URL(map[1], url).href;
    else if (line.startsWith("#EXTINF:")) duration = parseFloat(line.slice(8));
    else if (!line.startsWith("#")) {
      found.push({ url: line, start, end: start + duration });
      start += duration;
    }
  }
  return { init, found, duration: start };
}

function once(target, event, signal) {
  return new Promise((resolve, reject) => {
    target.addEventListener(event, resolve, { once: true, signal });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

async function playWithMediaSource(url, signal) {
  const source = new MediaSource();
  audio.src = URL.createObjectURL(source);
  await once(source, "sourceopen", signal);
  URL.revokeObjectURL(audio.src);
  const chosen = await variant(url, signal);
  const { init, found, duration } = await segments(chosen.url, signal);
  const buffer = source.addSourceBuffer(`audio/mp4; codecs="${chosen.codecs}"`);
  source.duration = duration;

  const change = async (action) => {
    const done = once(buffer, "updateend", signal);
    action();
    await done;
  };
  const append = async (from) => {
    const bytes = await (await fetchOk(from, signal)).arrayBuffer();
    await change(() => buffer.appendBuffer(bytes));
  };
  const buffered = ({ start, end }) => {
    const middle = (start + end) / 2;
    for (let index = 0; index < buffer.buffered.length; index += 1) {
      if (buffer.buffered.start(index) <= middle && middle < buffer.buffered.end(index)) return true;
    }
    return false;
  };

  await append(init);
  while (!signal.aborted) {
    const now = audio.currentTime;
    const wanted = found.find((segment) => segment.end > now && segment.start < now + AHEAD && !buffered(segment));
    if (wanted) {
      await append(wanted.url);
    } else {
      const first = buffer.buffered.length > 0 ? buffer.buffered.start(0) : now;
      if (first < now - BEHIND * 2) await change(() => buffer.remove(0, now - BEHIND));
      // Any change of the buffer opens the source again, so this comes last.
      if (buffered(found.at(-1)) && source.readyState === "open") source.endOfStream();
      await Promise.race([once(audio, "timeupdate", signal), once(audio, "seeking", signal)]);
    }
  }
}

async function play(song, button) {
  playback.abort();
  playback = new AbortController();
  const { signal } = playback;
  for (const other of list.querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
  button.setAttribute("aria-current", "true");
  document.title = `${song.name} – Segue`;
  const url = new URL(song.stream_url, location.href).href;
  const native = audio.canPlayType("application/vnd.apple.mpegurl") && !window.MediaSource;
  const started = native ? Promise.resolve((audio.src = url)) : playWithMediaSource(url, signal);
  started.catch((error) => {
    if (!signal.aborted) message.textContent = `“${song.name}” cannot be played: ${error.message}`;
  });
  // Refused only where the page was not clicked, which it was.
  audio.play().catch(() => {});
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function clock(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function row(song) {
  const button = element("button", "", "");
  const title = element("span", "title", song.name);
  title.append(element("span", "author", song.album ? `${song.author} · ${song.album}` : song.author));
  button.append(title, element("time", "", clock(song.duration)));
  button.addEventListener("click", () => play(song, button));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

let newest = 0;

async function show() {
  const mine = ++newest;
  try {
    const query = search.value ? `?q=${encodeURIComponent(search.value)}` : "";
    const songs = await (await fetchOk(`songs${query}`)).json();
    if (mine !== newest) return;
    list.replaceChildren(...songs.map(row));
    message.textContent = songs.length > 0 ? "" : search.value ? "No song matches." : "There are no songs yet.";
  } catch (error) {
    if (mine === newest) message.textContent = `The songs cannot be listed: ${error.message}`;
  }
}

search.addEventListener("input", show);
audio.addEventListener("ended", () => {
  list.querySelector("[aria-current]")?.closest("li").nextElementSibling?.querySelector("button").click();
});
show();
