#!/bin/sh
# Removes the fetched server programs and the kept Postgres templates. Packages
# that were installed stay.
set -eu

cd "$(dirname "$0")/../.."
rm -rf target/servers "${PATHBOUND_SERVERS_DIR:-target/servers}"
[ "$(id -u)" != 0 ] || rm -rf /opt/pathbound-servers
for directory in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
    rm -rf "$directory/pathbound-templates-$(id -u)"
done
