"""Uploads a file by tuspy, and goes on with what an earlier run began: upload.py ENDPOINT FILE MEMORY.

Prints how far it is, and at the end where the upload was.
"""

import pathlib
import sys

from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage

endpoint, file, memory = sys.argv[1:]
uploader = TusClient(endpoint).uploader(
    file,
    chunk_size=4 * 1024 * 1024,
    metadata={"filename": pathlib.Path(file).name},
    store_url=True,
    url_storage=FileStorage(memory),
    retries=30,
    retry_delay=1,
)
while uploader.offset < uploader.get_file_size():
    uploader.upload_chunk()
    print(uploader.offset, flush=True)
print(uploader.url)
