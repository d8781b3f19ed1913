#!/usr/bin/env bash
# Has libFuzzer look for inputs that break a parser: fuzz.sh SECONDS [TARGET…]. Needs the nightly toolchain.
# What is new to a target is kept in its corpus, minimised; what breaks it in tests/fuzz/parsers/__fuzz__/*/crashes,
# where `cargo test -p fuzz` meets it again.
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

# fuzz TARGET ARGUMENT…: bolero hands the arguments on to libFuzzer, which to minimise starts itself again by the
# name it was started by. The binary under its own name would run every target at once then.
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
[ $# -gt 0 ] || set -- $("$binary" --list | sed -n 's/: test$//p')
for target in "$@"; do
    home=$kept/${target//::/__}
    grown=$(mktemp -d -p "$work")
    mkdir -p "$home/corpus" "$home/crashes"
    echo "--- $target: $seconds s"
    fuzz "$target" "$grown" "$home/corpus" -dict=tests/fuzz/json.dict -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -max_total_time="$seconds" -artifact_prefix="$home/crashes/" -print_final_stats=1
    minimised=$(mktemp -d -p "$work")
    fuzz "$target" -set_cover_merge=1 -max_len=1024 -artifact_prefix="$home/crashes/" "$minimised" "$home/corpus" "$grown"
    rm -rf "$home/corpus"
    mv "$minimised" "$home/corpus"
    chmod 755 "$home/corpus"
    rmdir --ignore-fail-on-non-empty "$home/crashes"
done
