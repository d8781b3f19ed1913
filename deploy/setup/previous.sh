#!/bin/sh
# previous.sh: builds the program of the release before this one from its revision, as target/previous/pathbound.
set -eu

# The last revision of the release before. Each release moves it.
revision=$(cat tests/bench/previous_release)
folder=target/previous
[ "$(cat "$folder/revision" 2>/dev/null || true)" != "$revision" ] || exit 0

git cat-file -e "$revision^{commit}" 2>/dev/null || {
    echo "previous.sh: the revision $revision is not here, so clone the repository with its history" >&2
    exit 1
}
rm -rf "$folder"
mkdir -p "$folder"
git clone --quiet --no-checkout . "$folder/source"
git -C "$folder/source" checkout --quiet --detach "$revision"
# Compiled beside our own, because its dependencies may have other versions.
cargo build --quiet --locked --manifest-path "$folder/source/Cargo.toml" --target-dir "$folder/target" \
    --package pathbound --no-default-features
mv "$folder/target/debug/pathbound" "$folder/pathbound"
rm -rf "$folder/source" "$folder/target"
echo "$revision" >"$folder/revision"
