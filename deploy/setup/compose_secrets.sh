#!/bin/sh
# Writes the secrets of deploy/compose.yaml into deploy/secrets, each unless it is there. The client secret of the OAuth
# app comes from INTERCOM_CLIENT_SECRET.
set -eu

folder=$(cd "$(dirname "$0")/.." && pwd)/secrets
mkdir -p "$folder"

main() {
    key postgres_password
    key login_password
    key operator_key
    key service_key
    file encryption_keys "k1:$(random)"
    file database_url "postgres://pathbound:$(cat "$folder/login_password")@postgres/pathbound"
    file intercom_client_secret "${INTERCOM_CLIENT_SECRET:?set it to the client secret of your OAuth app}"
}

# Without +, / and =, which a URL would take for something else.
key() {
    file "$1" "$(random | tr '+/' '-_' | tr -d =)"
}

random() {
    head -c 32 /dev/urandom | base64
}

# Containers run as another account, which has to read them.
file() {
    [ -s "$folder/$1" ] || printf '%s' "$2" >"$folder/$1"
    chmod 644 "$folder/$1"
}

main
