#!/bin/sh
# image_check.sh FOLDER USER KILOBYTES COMMIT: looks at the image in FOLDER/oci, which should be of COMMIT, and starts it
# as USER on a read-only root. Its own layers may have KILOBYTES at most. Writes FOLDER/report.json.
set -eu

folder=$1
user=$2
limit_kb=$3
commit=$4
root=$folder/bundle/rootfs

main() {
    rm -rf "$folder/bundle"
    umoci --log=error unpack --image "$folder/oci:latest" "$folder/bundle"
    size=$(own_size)
    [ "$size" -le $((limit_kb * 1024)) ] || fail "its layers have $size bytes, and $limit_kb KiB are allowed"
    is_of_no_root
    names_no_path
    components=$(components)
    version=$(start /usr/bin/pathbound --version)
    settings="$(settings)"
    # shellcheck disable=SC2086 # several arguments
    start $settings /usr/bin/pathbound config check >/dev/null || fail "config check fails"
    all_roles
    report
}

# The layers that are not the base's, unpacked.
own_size() {
    python3 - "$folder" <<'PYTHON'
import gzip, json, os, sys
blobs = os.path.join(sys.argv[1], "oci", "blobs", "sha256")
def blob(digest):
    content = open(os.path.join(blobs, digest.removeprefix("sha256:")), "rb").read()
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
index = json.load(open(os.path.join(sys.argv[1], "oci", "index.json")))
manifest = json.loads(blob(index["manifests"][0]["digest"]))
# The base has one layer.
own = [blob(layer["digest"]) for layer in manifest["layers"][1:]]
assert own, "the image has no layer of its own"
print(sum(map(len, own)))
PYTHON
}

# A cluster sees that by the number.
is_of_no_root() {
    set -- "$(skopeo inspect --config --format '{{.Config.User}}' "oci:$folder/oci:latest")"
    case $1 in [1-9]*) ;; *) fail "it runs as ${1:-root}" ;; esac
    label=$(skopeo inspect --format '{{index .Labels "org.opencontainers.image.revision"}}' "oci:$folder/oci:latest")
    [ "$label" = "$commit" ] || fail "its label says that it is of commit $label"
}

# Neither of this machine nor of the builder.
names_no_path() {
    for path in "$HOME/" "$PWD/" /usr/local/cargo/ /src/target; do
        ! grep -qaF "$path" "$root/usr/bin/pathbound" || fail "the binary names $path"
    done
}

# How many dependencies the bill of materials lists. Each has to be in the lock file.
components() {
    python3 - "$root/usr/share/pathbound/sbom.cdx.json" Cargo.lock <<'PYTHON'
import json, re, sys
bill = json.load(open(sys.argv[1]))
assert bill["bomFormat"] == "CycloneDX", bill["bomFormat"]
listed = {(component["name"], component["version"]) for component in bill["components"]}
locked = set(re.findall(r'name = "(.*)"\nversion = "(.*)"', open(sys.argv[2]).read()))
unknown = listed - locked
assert not unknown, f"not in the lock file: {sorted(unknown)}"
assert {"tokio", "sqlx", "ring", "zstd-sys"} <= {name for name, _ in listed}, "large dependencies are missing"
print(len(listed))
PYTHON
}

# start [SETTING…] PROGRAM ARGUMENT…: the program alone, as another account, on a read-only root with an empty /tmp.
start() {
    bwrap --unshare-all --share-net --die-with-parent --new-session --ro-bind "$root" / --proc /proc --dev /dev \
        --tmpfs /tmp --uid "$user" --gid "$user" --clearenv --chdir / "$@"
}

settings() {
    key=$(head -c 32 /dev/urandom | base64)
    echo "--setenv PATHBOUND_DATABASE_URL postgres://app@db/app --setenv PATHBOUND_REDIS_URL redis://redis" \
        "--setenv PATHBOUND_PUBLIC_URL https://pathbound.example --setenv PATHBOUND_SERVICE_KEY $key" \
        "--setenv PATHBOUND_OPERATOR_KEY $key --setenv PATHBOUND_ENCRYPTION_KEYS k1:$key" \
        "--setenv PATHBOUND_INTERCOM_CLIENT_ID app --setenv PATHBOUND_INTERCOM_CLIENT_SECRET secret"
}

# All roles beside private servers, from the migration to the end by SIGTERM.
all_roles() {
    cargo build --quiet --workspace --bin servers
    "${CARGO_TARGET_DIR:-target}/debug/servers" run -- "$0" --beside-servers "$folder" "$user" "$commit"
}

beside_servers() {
    set -- --setenv PATHBOUND_PROFILE development --setenv PATHBOUND_DATABASE_URL "$PATHBOUND_DATABASE_URL" \
        --setenv PATHBOUND_REDIS_URL "$PATHBOUND_REDIS_URL" --setenv PATHBOUND_PUBLIC_URL http://localhost:18480 \
        --setenv PATHBOUND_LISTEN 127.0.0.1:18480 --setenv PATHBOUND_OPS_LISTEN 127.0.0.1:18481 \
        --setenv PATHBOUND_INTERCOM_CLIENT_ID app --setenv PATHBOUND_INTERCOM_CLIENT_SECRET secret
    start "$@" /usr/bin/pathbound migrate >/dev/null || fail "the migration fails"
    start "$@" /usr/bin/pathbound all >"$folder/all.log" 2>&1 &
    process=$!
    trap 'kill $process 2>/dev/null || true' EXIT
    is_ready || fail "it is not ready, see $folder/all.log"
    curl --silent --fail http://127.0.0.1:18481/metrics | grep -qF "commit=\"$commit\"" || fail "it is of another commit"
    kill -TERM "$(innermost "$process")"
    wait "$process" || fail "it ended with $?, see $folder/all.log"
    trap - EXIT
}

# A shell and two processes of bubblewrap are around the program.
innermost() {
    last=$1
    while child=$(pgrep --parent "$last"); do
        last=$child
    done
    echo "$last"
}

is_ready() {
    for _ in $(seq 150); do
        curl --silent --fail --output /dev/null http://127.0.0.1:18481/readyz && return
        sleep 0.2
    done
    return 1
}

report() {
    digest=$(skopeo inspect --format '{{.Digest}}' "oci:$folder/oci:latest")
    cat >"$folder/report.json" <<JSON
{
  "version": "$version",
  "commit": "$commit",
  "digest": "$digest",
  "own_bytes": $size,
  "components": $components,
  "user": $user
}
JSON
    cat "$folder/report.json"
}

fail() {
    echo "image: $*" >&2
    exit 1
}

if [ "$folder" = --beside-servers ]; then
    folder=$2 user=$3 root=$2/bundle/rootfs
    beside_servers
else
    main
fi
