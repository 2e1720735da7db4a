// video.js, with its own HLS engine (VHS).

import "/node_modules/video.js/dist/video.js";

export const player = {
  load(audio, url) {
    this.player = window.videojs(audio, { html5: { vhs: { overrideNative: true } } });
    this.player.on("error", () => this.onerror(this.player.error().message));
    const loaded = new Promise((resolve) => this.player.one("loadedmetadata", resolve));
    this.player.src({ src: url, type: "application/vnd.apple.mpegurl" });
    return loaded;
  },
  vhs() {
    return this.player.tech(true).vhs;
  },
  variants() {
    return this.vhs().representations().map((one) => one.bandwidth).sort((a, b) => a - b);
  },
  current() {
    return this.vhs().playlists.media().attributes.BANDWIDTH;
  },
  change(bitrate) {
    for (const one of this.vhs().representations()) one.enabled(one.bandwidth === bitrate);
  },
};
