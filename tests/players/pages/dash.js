// dash.js.

import "/node_modules/dashjs/dist/modern/umd/dash.all.min.js";

export const player = {
  load(audio, url) {
    const { MediaPlayer } = window.dashjs;
    this.dash = MediaPlayer().create();
    this.dash.updateSettings({ streaming: { abr: { autoSwitchBitrate: { audio: false } } } });
    this.dash.on(MediaPlayer.events.ERROR, ({ error }) => this.onerror(`${error.code}: ${error.message}`));
    this.dash.on(MediaPlayer.events.PLAYBACK_ERROR, ({ error }) => this.onerror(`${error.code}: ${error.message}`));
    const loaded = new Promise((resolve) => this.dash.on(MediaPlayer.events.STREAM_INITIALIZED, resolve));
    this.dash.initialize(audio, url, false);
    return loaded;
  },
  variants() {
    return this.dash.getRepresentationsByType("audio").map((one) => one.bandwidth).sort((a, b) => a - b);
  },
  current() {
    return this.dash.getCurrentRepresentationForType("audio")?.bandwidth;
  },
  change(bitrate) {
    const wanted = this.dash.getRepresentationsByType("audio").find((one) => one.bandwidth === bitrate);
    this.dash.setRepresentationForTypeById("audio", wanted.id, true);
  },
};
