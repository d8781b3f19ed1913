#!/bin/sh
# Makes sure that Prometheus and its promtool are there. The tests of alerts look for them on PATH, and say so if they
# are not there.
#
# As root on Debian and Ubuntu it installs their package without starting a system service. Elsewhere it prints advice and
# succeeds, because everything else can be tested without it.
set -eu

has_prometheus() {
    command -v prometheus >/dev/null && command -v promtool >/dev/null
}

# The package would start its service. A script that refuses says no for the time of the installation.
install_package() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    [ -e /usr/sbin/policy-rc.d ] || {
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    }
    apt-get install --yes --quiet --no-install-recommends prometheus >/dev/null 2>&1 || {
        apt-get update --quiet >/dev/null 2>&1
        apt-get install --yes --quiet --no-install-recommends prometheus >/dev/null 2>&1
    }
}

has_prometheus && exit 0
echo "installing prometheus"
install_package && has_prometheus && exit 0
echo "SKIPPED: alerts will NOT be tested, put prometheus and promtool on PATH" >&2
