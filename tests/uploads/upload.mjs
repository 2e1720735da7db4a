// Uploads a file by tus-js-client, and goes on with what an earlier run began:
// upload.mjs ENDPOINT FILE MEMORY. Prints how far it is, and at the end where the upload was.

import { createReadStream, statSync } from "node:fs";
import { basename } from "node:path";
import tus from "tus-js-client";

const [endpoint, file, memory] = process.argv.slice(2);
const upload = new tus.Upload(createReadStream(file), {
  endpoint,
  uploadSize: statSync(file).size,
  chunkSize: 4 * 1024 * 1024,
  metadata: { filename: basename(file), filetype: "audio/flac" },
  retryDelays: [200, 400, 800, 1600, 3200, 6400],
  urlStorage: new tus.FileUrlStorage(memory),
  storeFingerprintForResuming: true,
  fingerprint: async () => file,
  onChunkComplete: (_, accepted) => console.log(accepted),
  onSuccess: () => console.log(upload.url),
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
});
const [previous] = await upload.findPreviousUploads();
if (previous) upload.resumeFromPreviousUpload(previous);
upload.start();
