"""A program as they were written for the predecessor's MusicApi; only the import is new.

Add a song as AUTHOR from FILE, look at everything, delete what was added:  predecessor_program.py AUTHOR FILE
"""

import json
import sys

from segue import MusicApi

author, song_path = sys.argv[1:]

api = MusicApi()

print("Adding musics...")
print(api.insert(author, "First Song", song_path))
print(api.insert(author, "Second Song", song_path))

print()
print("Listing musics...")
all_musics = json.loads(api.list())
for music in all_musics:
    print(music["id"], music["name"], music["author"])

print()
print("Printing specific music data...")
for music in all_musics:
    print(api.get(music["id"]))

print()
print("Printing data which does not exist...")
print(api.get("11111"))

print()
print("Deleting musics...")
for music in all_musics:
    if music["author"] == author:
        print(api.remove(music["id"]))
print(api.remove("11111"))

print()
print("Listing musics...")
print([music["name"] for music in json.loads(api.list()) if music["author"] == author])
