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
