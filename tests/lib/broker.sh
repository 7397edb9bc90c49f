# shellcheck shell=bash
# A broker for tests: `. tests/lib/network.sh; . tests/lib/broker.sh`, after network_make and network_broker.
#
#   broker_make [LINE...]   settings and rules of the demonstration in $NETWORK_DIR/broker; LINEs are added to the settings
#   broker_rules LINE...    adds lines to the rules, before the start
#   broker_start [PORT]     starts it and waits until it is ready; without PORT the kernel picks one, and it stays the same.
#                           Sets BROKER_PID and BROKER_PORT, and fills the port into every profile
#   broker_stop             SIGTERM; fails unless it ends with 0
#   broker_kill             kill -9, and gone when it returns; harmless if none runs
#   broker_reload           SIGHUP; prints "done" or "refused", as its log says
#   broker_said WORDS       true if its log of this start holds a line with WORDS (an extended regular expression)
#
# BROKER_LOG is its standard error, of every start one after the other. BROKER_BIN is the program ($OUT/liaisond).
# Every function fails with a sentence on standard error.

BROKER_PID=
BROKER_PORT=0
BROKER_LOG=
BROKER_FROM=1 # the first line in the log of this start
BROKER_BIN=${BROKER_BIN:-${OUT:-build}/liaisond}
BROKER_WAIT=${BROKER_WAIT:-30} # seconds, for slow builds on busy machines
_broker_data=$(cd "$(dirname "${BASH_SOURCE[0]}")/../data/demo" && pwd)

broker_make() {
    local at=$NETWORK_DIR/broker
    BROKER_LOG=$at/log
    : >"$BROKER_LOG"
    cp "$_broker_data/rules.conf" "$at/rules.conf" &&
        sed "s|@DIR@|$at|g" "$_broker_data/liaisond.conf.in" >"$at/liaisond.conf.in" || return 1
    [ $# = 0 ] || printf '%s\n' "$@" >>"$at/liaisond.conf.in"
}

broker_rules() {
    printf '%s\n' "$@" >>"$NETWORK_DIR/broker/rules.conf"
}

broker_said() {
    tail -n "+$BROKER_FROM" "$BROKER_LOG" | grep -Eq -- "$1"
}

# Waits until the log has a line with WORDS from line FROM on; prints the line. Fails when the broker ends or time is up.
_broker_await() { # FROM WORDS
    local until=$((SECONDS + BROKER_WAIT)) line
    while :; do
        line=$(tail -n "+$1" "$BROKER_LOG" | grep -Em1 -- "$2") && break
        if ! kill -0 "$BROKER_PID" 2>/dev/null || [ $SECONDS -ge $until ]; then
            printf 'broker: no line with "%s"; it said last:\n%s\n' "$2" "$(tail -n "+$1" "$BROKER_LOG" | tail -n 30)" >&2
            return 1
        fi
        sleep 0.02
    done
    printf '%s\n' "$line"
}

_broker_lines() {
    echo $(($(wc -l <"$BROKER_LOG") + 1))
}

broker_start() {
    local at=$NETWORK_DIR/broker line
    [ -z "$BROKER_PID" ] || {
        echo "broker: it runs already" >&2
        return 1
    }
    sed "s|@PORT@|${1:-$BROKER_PORT}|" "$at/liaisond.conf.in" >"$at/liaisond.conf"
    BROKER_FROM=$(_broker_lines)
    "$BROKER_BIN" run -c "$at/liaisond.conf" </dev/null >>"$BROKER_LOG" 2>&1 &
    BROKER_PID=$!
    line=$(_broker_await "$BROKER_FROM" ' start\.ready ') || {
        broker_kill
        return 1
    }
    BROKER_PORT=${line##* port=}
    BROKER_PORT=${BROKER_PORT%% *}
    network_port "$BROKER_PORT"
}

broker_stop() {
    local status
    kill "$BROKER_PID" 2>/dev/null
    wait "$BROKER_PID" 2>/dev/null
    status=$?
    BROKER_PID=
    [ $status = 0 ] || {
        printf 'broker: it ended with %d; it said last:\n%s\n' $status "$(tail -n "+$BROKER_FROM" "$BROKER_LOG" | tail -n 30)" >&2
        return 1
    }
}

broker_kill() {
    [ -n "$BROKER_PID" ] || return 0
    kill -9 "$BROKER_PID" 2>/dev/null
    wait "$BROKER_PID" 2>/dev/null
    BROKER_PID=
}

broker_reload() {
    local from line
    from=$(_broker_lines)
    kill -HUP "$BROKER_PID" && line=$(_broker_await "$from" ' reload\.(done|refused) ') || return 1
    line=${line#* reload.}
    echo "${line%% *}"
}
