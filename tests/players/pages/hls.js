// hls.js.

import Hls from "/node_modules/hls.js/dist/hls.mjs";

export const player = {
  load(audio, url) {
    this.hls = new Hls();
    this.hls.on(Hls.Events.ERROR, (_, { type, details }) => this.onerror(`${type}: ${details}`));
    const parsed = new Promise((resolve) => this.hls.once(Hls.Events.MANIFEST_PARSED, resolve));
    this.hls.loadSource(url);
    this.hls.attachMedia(audio);
    return parsed;
  },
  variants() {
    return this.hls.levels.map((level) => level.bitrate).sort((a, b) => a - b);
  },
  current() {
    return this.hls.levels[this.hls.currentLevel]?.bitrate;
  },
  change(bitrate) {
    this.hls.nextLevel = this.hls.levels.findIndex((level) => level.bitrate === bitrate);
  },
};
