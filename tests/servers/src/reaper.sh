# Stops the servers when their owner is gone, whatever ended it.
#
# Usage: sh -c "$(cat reaper.sh)" reaper DIRECTORY MODE
#
# Makes the directory and says `ready`. The owner holds the other end of standard
# input and writes `postgres PID`, `redis PID`, or the name alone when that server
# has ended. The end of the input means the end of the owner. Whatever the owner
# started for the servers is in this process' group.

# What is sent to the whole group, or by a closing terminal, must not end the reaper.
trap '' HUP INT QUIT TERM PIPE

directory=$1
mkdir -m "$2" "$directory" || exit
echo ready
exec >/dev/null 2>&1

postgres=
redis=
while read -r name pid; do
    case $name in
        postgres) postgres=$pid ;;
        redis) redis=$pid ;;
    esac
done

alive() {
    [ -n "$1" ] && kill -0 "$1" || return 1
    # A dead process whose parent never collects it counts as gone.
    if [ -r "/proc/$1/stat" ]; then
        read -r _ _ state _ <"/proc/$1/stat" || return 1
        [ "$state" != Z ] || return 1
    fi
}

# QUIT is Postgres' immediate shutdown. CONT wakes a server that was suspended.
# TERM is for a program that was just being started.
[ -z "$redis" ] || kill -KILL "$redis"
[ -z "$postgres" ] || kill -QUIT "$postgres"
kill -TERM 0
kill -CONT 0

# Up to 8 seconds: Postgres itself kills sessions that do not react after 5.
# The directory may be written to until the last program has ended.
turns=0
while { alive "$postgres" || alive "$redis" || ! rm -rf "$directory"; } && [ "$turns" -lt 400 ]; do
    turns=$((turns + 1))
    sleep 0.02 || sleep 1
done
rm -rf "$directory"

# Whatever is left in the group, this process included.
kill -KILL 0
