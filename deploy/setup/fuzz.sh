#!/usr/bin/env bash
# Lets libFuzzer look for inputs that break a parser: fuzz.sh SECONDS [TARGET…]. Needs the nightly toolchain and
# GNU tar. The corpus of a target is minimised and packed into tests/fuzz/seeds. An input that breaks the target is
# left in tests/fuzz/parsers/__fuzz__/*/crashes, so that `cargo test -p fuzz` replays it.
set -euo pipefail

cd "$(dirname "$0")/../.."
seconds=$1
shift

host=$(rustc -vV | sed -n 's/^host: //p')
# As cargo-bolero sets them: coverage of edges and comparisons.
flags="--cfg fuzzing --cfg fuzzing_libfuzzer -Cpasses=sancov-module"
for argument in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$argument"
done
binary=$(CARGO_BUILD_RUSTFLAGS=$flags cargo +nightly test --quiet --profile fuzz --package fuzz --test parsers \
    --target "$host" --target-dir "${CARGO_TARGET_DIR:-target}/fuzz" --no-run --message-format json |
    sed -n 's/.*"executable":"\([^"]*\/parsers-[^"]*\)".*/\1/p')

# fuzz TARGET ARGUMENT…: bolero hands the arguments on to libFuzzer. To minimise, libFuzzer starts itself again by
# the name it was started by. The binary's own name would then run every target at once, so each target has a script.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fuzz() {
    local target=$1 runner=$work/${1//::/__}
    shift
    printf '#!/usr/bin/env bash\nexec -a "$0" "%s" %s --exact --nocapture --test-threads 1\n' \
        "$(realpath "$binary")" "$target" >"$runner"
    chmod +x "$runner"
    BOLERO_LIBFUZZER_ARGS=$* "$runner"
}

kept=tests/fuzz/parsers/__fuzz__
seeds=tests/fuzz/seeds

# archive TARGET-FOLDER: the targets of one file share an archive, which has a folder per target.
archive() {
    echo "$seeds/${1%%__*}.tar.gz"
}

# unpack TARGET-FOLDER
unpack() {
    rm -rf "$kept/$1/corpus"
    mkdir -p "$kept/$1/corpus" "$kept/$1/crashes"
    [ ! -f "$(archive "$1")" ] || tar -xzf "$(archive "$1")" -C "$kept" --wildcards "./$1/*" || true
}

# pack TARGET-FOLDER: replaces the target's folder in its archive. The same seeds always give the same archive.
pack() {
    local all
    all=$(mktemp -d -p "$work")
    [ ! -f "$(archive "$1")" ] || tar -xzf "$(archive "$1")" -C "$all"
    rm -rf "${all:?}/$1"
    mkdir -p "$all/$1"
    cp -r "$kept/$1/corpus" "$all/$1/corpus"
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=ustar \
        -C "$all" -cf - . | gzip -9n >"$(archive "$1")"
}

[ $# -gt 0 ] || set -- $("$binary" --list | sed -n 's/: test$//p')
for target in "$@"; do
    folder=${target//::/__}
    home=$kept/$folder
    unpack "$folder"
    grown=$(mktemp -d -p "$work")
    echo "--- $target: $seconds s"
    fuzz "$target" "$grown" "$home/corpus" -dict=tests/fuzz/json.dict -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -max_total_time="$seconds" -artifact_prefix="$home/crashes/" -print_final_stats=1
    minimised=$(mktemp -d -p "$work")
    fuzz "$target" -set_cover_merge=1 -max_len=1024 -artifact_prefix="$home/crashes/" "$minimised" "$home/corpus" "$grown"
    rm -rf "$home/corpus"
    mv "$minimised" "$home/corpus"
    chmod 755 "$home/corpus"
    pack "$folder"
    rmdir --ignore-fail-on-non-empty "$home/crashes"
done
