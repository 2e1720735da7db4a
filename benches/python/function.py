"""What one would write in Python: a segment out of MongoDB, for API Gateway.

The client is kept from one invocation to the next, and nothing is read but the bytes.
"""

import base64
import os

from pymongo import MongoClient

chunks = MongoClient(os.environ["DATABASE_URL"]).get_default_database()["chunks"]


def handler(event, context):
    # /stream/{song}/{revision}/{variant}/{file}: the key is what follows /stream/.
    key = event["rawPath"].removeprefix("/stream/")
    chunk = chunks.find_one({"_id": key}, {"chunk_bytes": 1})
    if chunk is None:
        return {"statusCode": 404}
    return {
        "statusCode": 200,
        "headers": {
            "content-type": "audio/mp4",
            "cache-control": "public, max-age=31536000, immutable",
        },
        "body": base64.b64encode(chunk["chunk_bytes"]).decode(),
        "isBase64Encoded": True,
    }
