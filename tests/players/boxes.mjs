// What GPAC's parser reads from a track: boxes.mjs INIT SEGMENT...
//
// Prints one JSON object; ends with an error if a box cannot be read.

import { readFileSync } from "node:fs";

import { createFile, Log, MP4BoxBuffer } from "mp4box";

const complaints = [];
Log.setLogLevel(Log.LOG_LEVEL_WARNING);
console.warn = (...all) => complaints.push(all.join(" "));
console.error = console.warn;

const file = createFile();
file.onError = (module, text) => complaints.push(`${module}: ${text}`);
let offset = 0;
const bytes = process.argv.slice(2).map((path) => {
  const { buffer } = new Uint8Array(readFileSync(path));
  file.appendBuffer(MP4BoxBuffer.fromArrayBuffer(buffer, offset));
  offset += buffer.byteLength;
  return buffer.byteLength;
});
file.flush();

const [track] = file.moov.traks;
const samples = file.getTrackSamplesInfo(track.tkhd.track_id);
console.log(
  JSON.stringify({
    complaints,
    tracks: file.moov.traks.length,
    boxes: file.boxes.map((box) => box.type),
    unread: file.boxes.filter((box) => box.hdr_size === 0).length,
    timescale: track.mdia.mdhd.timescale,
    codec: file.getInfo().tracks[0].codec,
    edits: (track.edts?.elst.entries ?? []).map((entry) => entry.media_time),
    segments: file.moofs.map((moof, index) => {
      const own = samples.filter((sample) => sample.moof_number === index + 1);
      return {
        start: moof.trafs[0].tfdt.baseMediaDecodeTime,
        first: own[0].dts,
        samples: own.length,
        duration: own.reduce((sum, sample) => sum + sample.duration, 0),
        payload: own.reduce((sum, sample) => sum + sample.size, 0),
        bytes: bytes[index + 1],
      };
    }),
  }),
);
