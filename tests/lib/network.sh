# shellcheck shell=bash
# A throw-away network for the demo and the tests: `. tests/lib/network.sh`, from anywhere.
#
#   network_make DIR               the CAs of practicies.example with registrars fr and eu, and their revocation lists
#   network_agency NAME...         profiles of agencies:  $NETWORK_DIR/profiles/NAME/, NAME with its slashes as dots
#   network_auditor NAME...        profiles of auditors:  the same
#   network_broker [NAME]          $NETWORK_DIR/broker/:  broker.key broker.crt ca.crt crl.pem directory/ (default eu/main)
#   network_publish                new crl.pem and directory/ to the broker and to every profile
#   network_port PORT              writes the broker's port into every profile.json
#   network_profile NAME           prints the directory of a member's profile
#   network_revoke NAME [OPTION..] revokes and makes the new list, for the broker only: what a thief does not have
#   network_ca COMMAND...          liaison-ca in this network
#
# network_make sets NETWORK and NETWORK_DIR. Every function fails with a sentence on standard error.
# Keys are made here each time and never leave DIR. All names are invented.

NETWORK=practicies.example
NETWORK_DIR=
NETWORK_ADDRESS=127.0.0.1:0
_network_tool=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/certs/liaison-ca
_network_cnf=${_network_tool}.cnf

network_ca() {
    "$_network_tool" --dir "$NETWORK_DIR/ca" "$@"
}

# Runs a command; shows what it said only when it failed.
_network_quiet() {
    local said
    said=$("$@" 2>&1) || {
        printf 'network: %s\n%s\n' "$*" "$said" >&2
        return 1
    }
}

network_make() {
    NETWORK_DIR=$1
    mkdir -p "$NETWORK_DIR/profiles" &&
        _network_quiet network_ca root --network "$NETWORK" &&
        _network_quiet network_ca registrar fr &&
        _network_quiet network_ca registrar eu &&
        _network_quiet network_ca crl
}

network_profile() {
    printf '%s/profiles/%s\n' "$NETWORK_DIR" "${1//\//.}"
}

# A key and its request: KEY, CSR
_network_key() {
    _network_quiet env LIAISON_CA='' LIAISON_SAN=URI:spiffe://none.invalid/ LIAISON_HOST=none.invalid \
        openssl req -config "$_network_cnf" -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -sha256 \
        -keyout "$1" -out "$2" -subj /CN=request && chmod 600 "$1"
}

# A key and its certificate: DIRECTORY FILE PROFILE NAME [option of liaison-ca...]
_network_issue() {
    local at=$1/$2 profile=$3 name=$4
    shift 4
    _network_key "$at.key" "$at.csr" &&
        _network_quiet network_ca issue "$profile" "$name" "$at.csr" --out "$at.crt" "$@" &&
        rm "$at.csr"
}

# profile.json: DIRECTORY agency|auditor NAME
_network_json() {
    printf '{"network":"%s","broker":"%s","%s":"%s"}\n' "$NETWORK" "$NETWORK_ADDRESS" "$2" "$3" >"$1/profile.json"
}

_network_trust() { # DIRECTORY
    cp "$NETWORK_DIR/ca/ca.crt" "$NETWORK_DIR/ca/crl.pem" "$1/"
}

network_agency() {
    local name at
    for name; do
        at=$(network_profile "$name")
        mkdir -p "$at" && chmod 700 "$at" &&
            _network_issue "$at" sign sign "$name" &&
            _network_issue "$at" seal seal "$name" &&
            _network_json "$at" agency "$name" &&
            _network_trust "$at" || return 1
    done
}

# An approver's profile, PROFILE.ROLE beside its agency's: AGENCY ROLE
network_approver() {
    local at
    at=$(network_profile "$1").$2
    mkdir -p "$at" && chmod 700 "$at" &&
        _network_key "$at/sign.key" "$at/sign.csr" &&
        _network_quiet network_ca issue approver "$1" "$2" "$at/sign.csr" --out "$at/sign.crt" &&
        rm "$at/sign.csr" &&
        printf '{"network":"%s","broker":"%s","agency":"%s","approver":"%s"}\n' \
            "$NETWORK" "$NETWORK_ADDRESS" "$1" "$2" >"$at/profile.json" &&
        _network_trust "$at"
}

network_auditor() {
    local name at
    for name; do
        at=$(network_profile "$name")
        mkdir -p "$at" && chmod 700 "$at" &&
            _network_issue "$at" sign auditor "$name" &&
            _network_json "$at" auditor "$name" &&
            _network_trust "$at" || return 1
    done
}

network_broker() {
    local at=$NETWORK_DIR/broker
    mkdir -p "$at" && chmod 700 "$at" &&
        _network_issue "$at" broker broker "${1:-eu/main}" &&
        _network_trust "$at" &&
        _network_quiet network_ca publish --to "$at/directory"
}

network_publish() {
    local at
    _network_quiet network_ca crl || return 1
    for at in "$NETWORK_DIR"/broker "$NETWORK_DIR"/profiles/*; do
        [ ! -d "$at" ] || _network_trust "$at" || return 1
    done
    _network_quiet network_ca publish --to "$NETWORK_DIR/broker/directory"
}

network_port() {
    local at
    NETWORK_ADDRESS=127.0.0.1:$1
    for at in "$NETWORK_DIR"/profiles/*/profile.json; do
        sed -i "s/\"broker\": *\"[^\"]*\"/\"broker\":\"$NETWORK_ADDRESS\"/" "$at" || return 1
    done
}

network_revoke() {
    _network_quiet network_ca revoke "$@" &&
        _network_quiet network_ca crl &&
        _network_trust "$NETWORK_DIR/broker" &&
        _network_quiet network_ca publish --to "$NETWORK_DIR/broker/directory"
}
