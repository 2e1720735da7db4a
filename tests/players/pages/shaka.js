// Shaka Player.

import "/node_modules/shaka-player/dist/shaka-player.compiled.js";

export const player = {
  async load(audio, url) {
    const { shaka } = window;
    shaka.polyfill.installAll();
    this.shaka = new shaka.Player();
    this.shaka.addEventListener("error", ({ detail }) => this.onerror(`${detail.code}: ${detail.data}`));
    this.shaka.configure({ abr: { enabled: false }, ...this.settings });
    await this.shaka.attach(audio);
    await this.shaka.load(url);
  },
  variants() {
    return this.shaka.getVariantTracks().map((track) => track.bandwidth).sort((a, b) => a - b);
  },
  current() {
    return this.shaka.getVariantTracks().find((track) => track.active)?.bandwidth;
  },
  change(bitrate) {
    const track = this.shaka.getVariantTracks().find((track) => track.bandwidth === bitrate);
    this.shaka.selectVariantTrack(track, true);
  },
};
