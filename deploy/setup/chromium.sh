#!/bin/sh
# Makes sure that Chromium is there, Java, which the checker of HTML needs, and nginx, which ends TLS for one of the walks. As
# root on Debian and Ubuntu their packages are installed. If they cannot be had, nothing fails: `browser` then says what is skipped.
set -eu

main() {
    has_chromium || install chromium fonts-dejavu-core
    has_chromium || say "Chromium could not be installed. Set PATHBOUND_CHROMIUM to a Chromium or Chrome"
    has_java || install default-jre-headless
    has_java || say "Java could not be installed, so the HTML is not checked"
    has_nginx || install nginx-light
    has_nginx || say "nginx could not be installed, so no walk goes through a proxy"
}

has_chromium() {
    for program in "${PATHBOUND_CHROMIUM-}" chromium chromium-browser google-chrome; do
        [ -n "$program" ] && command -v "$program" >/dev/null && return
    done
    return 1
}

# On some systems `java` is there and only says where to get one.
has_java() {
    java -version >/dev/null 2>&1
}

has_nginx() {
    command -v nginx >/dev/null || [ -x /usr/sbin/nginx ]
}

install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >&2 || return 0
    apt-get -qq install -y --no-install-recommends "$@" >/dev/null 2>&1 || return 0
}

say() {
    echo "setup: $*" >&2
}

main
