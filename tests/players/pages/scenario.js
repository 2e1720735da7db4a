// What every player is put through. A player is an object:
//   load(audio, url)   begins to load; resolves when it knows the variants
//   variants()         bit rates in bit/s, ascending
//   current()          the bit rate of the variant it loads
//   change(bitrate)    switches to the variant of that bit rate
//   onerror            called with a text for each error that the player tells

const within = (seconds, promise, what) =>
  Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`${what}: not within ${seconds} s`)), seconds * 1000)),
  ]);

const event = (audio, name) => new Promise((resolve) => audio.addEventListener(name, resolve, { once: true }));

const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
};

const covers = (ranges, time) =>
  Array.from({ length: ranges.length }, (_, index) => index).some(
    (index) => ranges.start(index) <= time && time < ranges.end(index),
  );

/** Plays, switches the variant, seeks to the middle, and plays to the end. Returns what was seen. */
export async function run(player, url) {
  const audio = document.querySelector("#audio");
  const errors = [];
  player.onerror = (text) => errors.push(text);
  audio.addEventListener("error", () => errors.push(`media element: ${audio.error.message}`));

  await within(20, player.load(audio, url), "loading");
  const variants = player.variants();
  await within(20, audio.play(), "the start");
  await within(20, until(() => audio.currentTime > 1), "the first second");

  const before = player.current();
  const other = before === variants[0] ? variants.at(-1) : variants[0];
  player.change(other);
  await within(20, until(() => player.current() === other), "the switch");
  const switched = audio.currentTime;
  await within(20, until(() => audio.currentTime > switched + 1), "a second after the switch");

  const middle = audio.duration / 2;
  const seeked = event(audio, "seeked");
  audio.currentTime = middle;
  await within(20, seeked, "the seek");
  const landed = audio.currentTime;
  const covered = covers(audio.buffered, middle);
  await within(20, until(() => audio.currentTime > middle + 1), "a second after the seek");

  const ended = event(audio, "ended");
  audio.playbackRate = 8;
  await within(60, ended, "the end");
  return {
    errors,
    variants,
    before,
    after: player.current(),
    middle,
    landed,
    covered,
    ended: audio.ended,
    duration: audio.duration,
    position: audio.currentTime,
  };
}

/** Plays from a second before the end, at twice the speed. Returns whether `ended` was fired, and where. */
export async function end(player, url) {
  const audio = document.querySelector("#audio");
  const errors = [];
  player.onerror = (text) => errors.push(text);
  await within(20, player.load(audio, url), "loading");
  await within(20, audio.play(), "the start");
  await within(20, until(() => audio.duration > 1), "the duration");
  // Not `audio.ended`: dash.js may set the duration anew once the end is reached.
  const fired = event(audio, "ended").then(() => true);
  audio.currentTime = audio.duration - 1;
  audio.playbackRate = 2;
  const ended = await within(20, fired, "the end").catch(() => false);
  return { errors, ended, duration: audio.duration, position: audio.currentTime };
}

const text = (bytes, at) => String.fromCharCode(...bytes.subarray(at, at + 4));

/** The time of the first sample of a media segment, in units of its track, or undefined if it is none. */
function decodeTime(bytes) {
  if (text(bytes, 4) !== "moof") return undefined;
  let at = 8;
  while (text(bytes, at) !== "tfdt") at += 1;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at + 4);
  return view.getUint8(0) === 1 ? Number(view.getBigUint64(4)) : view.getUint32(4);
}

/**
 * Loads all of a song of less than 30 s without playing it. Returns an object for each media segment that
 * the player appended:
 *   decodeTime   baseMediaDecodeTime, in samples
 *   offset       timestampOffset of the SourceBuffer, in seconds
 *   mode         "segments" or "sequence"
 *   window       appendWindowStart and appendWindowEnd, in seconds
 *   buffered     [start, end] of each buffered range afterwards, in seconds
 */
export async function appended(player, url, settings) {
  const all = [];
  const { appendBuffer } = SourceBuffer.prototype;
  SourceBuffer.prototype.appendBuffer = function (data) {
    const bytes = ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : new Uint8Array(data);
    const time = decodeTime(bytes);
    if (time !== undefined) {
      const { mode, timestampOffset: offset, appendWindowStart: start, appendWindowEnd: end } = this;
      const one = { decodeTime: time, offset, mode, window: [start, end].map(String) };
      all.push(one);
      this.addEventListener(
        "updateend",
        () => {
          const { buffered } = this;
          one.buffered = Array.from({ length: buffered.length }, (_, at) => [buffered.start(at), buffered.end(at)]);
        },
        { once: true },
      );
    }
    return appendBuffer.call(this, data);
  };
  const audio = document.querySelector("#audio");
  player.settings = { ...settings, streaming: { bufferingGoal: 30 } };
  player.onerror = (message) => all.push({ error: message });
  await within(20, player.load(audio, url), "loading");
  await within(20, until(() => covers(audio.buffered, audio.duration - 0.1)), "all segments");
  return all;
}
