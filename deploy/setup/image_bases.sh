#!/bin/sh
# image_bases.sh FOLDER: makes two images of Debian packages in the storage below FOLDER, unless they are there.
# localhost/base has what a binary needs, and localhost/builder a C compiler. The Rust toolchain of this machine is
# mounted when something is built.
set -eu

folder=$1
suite=bookworm
release="$folder/bases.txt"
# No shell and no package manager: libc, libgcc_s and what they name.
runtime=libc6,libgcc-s1,ca-certificates,tzdata,base-files
compiler=gcc,libc6-dev,binutils,coreutils,findutils,ca-certificates,dash,sed,grep,bash

main() {
    [ "$(cat "$release" 2>/dev/null)" = "$runtime $compiler" ] && return
    base
    builder
    echo "$runtime $compiler" >"$release"
}

base() {
    root=$folder/base
    packages "$root" --variant=extract "$runtime"
    authorities "$root"
    # What a start mounts over has to be there.
    mkdir -p "$root/proc" "$root/dev" "$root/sys" "$root/tmp"
    chmod 1777 "$root/tmp"
    rm -rf "$root/var/cache/apt" "$root/var/lib/apt" "$root/var/log" "$root/usr/share/doc" "$root/usr/share/man"
    import base "$root"
}

builder() {
    root=$folder/builder
    packages "$root" --variant=apt "$compiler"
    authorities "$root"
    import builder "$root" --env CARGO_HOME=/usr/local/cargo \
        --env PATH=/usr/local/rust/bin:/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}

packages() {
    rm -rf "$1"
    mmdebstrap --quiet --mode=root "$2" --include="$3" "$suite" "$1" >&2
}

# The package has the certificates one by one, and its script that joins them was not run.
authorities() {
    mkdir -p "$1/etc/ssl/certs"
    find "$1/usr/share/ca-certificates" -name '*.crt' | LC_ALL=C sort | xargs cat >"$1/etc/ssl/certs/ca-certificates.crt"
}

# import NAME FOLDER [SETTING…]: an image with one layer.
import() {
    name=$1 root=$2
    shift 2
    work=$(buildah_ from scratch)
    tar --sort=name --mtime=@0 -C "$root" -cf "$folder/$name.tar" .
    buildah_ add --quiet "$work" "$folder/$name.tar" / >/dev/null
    [ $# = 0 ] || buildah_ config "$@" "$work"
    buildah_ commit --quiet --timestamp 0 --rm "$work" "localhost/$name" >/dev/null
    rm -rf "$folder/$name.tar" "$root"
}

buildah_() {
    buildah --storage-driver vfs --root "$folder/storage" --runroot "$folder/run" "$@"
}

main
