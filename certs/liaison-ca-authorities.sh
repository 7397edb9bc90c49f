# shellcheck shell=bash disable=SC2015,SC2034,SC2086,SC2154 # its variables are those of liaison-ca; words hold no blanks
# The authorities of a network: roots and issuing CAs, their generations, lists and bundles. Sourced by liaison-ca.
#
# A key is followed by another one, not replaced: `fr` by `fr.2`, `root` by `root.2`. Each is a folder of its own, and nothing
# that was made is moved until it is retired:
#
#   DIR/root/ DIR/root.2/ ...                           DIR/registrars/fr/ DIR/registrars/fr.2/ ...
#   DIR/retired/ID/                                     without its key: what it issued stays on record
#
# An ID names one generation, a LABEL all of them; the newest signs. Members know each by its certificate: their names differ.

# The folder of one generation.
ca_path() { # ID
    if [ -d "$DIR/retired/$1" ]; then
        echo "$DIR/retired/$1"
    elif [[ $1 = root || $1 = root.* ]]; then
        echo "$DIR/$1"
    else
        echo "$DIR/registrars/$1"
    fi
}

# IDs of all that are in use, roots first.
ca_ids() {
    local at
    for at in "$DIR"/root "$DIR"/root.* "$DIR"/registrars/*; do
        [ ! -e "$at/ca.crt" ] || echo "${at##*/}"
    done
}

retired_ids() {
    local at
    for at in "$DIR"/retired/*; do
        [ ! -e "$at/ca.crt" ] || echo "${at##*/}"
    done
}

# IDs of all that ever were, each label's oldest first.
all_ids() {
    { ca_ids && retired_ids; } | sort -t. -k1,1 -k2,2n
}

# IDs of one label that are in use, oldest first; an ID with a number stands for itself.
generations() { # LABEL|ID
    ca_ids | awk -F. -v id="$1" '$1 == id || $0 == id' | sort -t. -k2,2n
}

newest() { # LABEL
    generations "$1" | tail -n 1
}

next_id() { # LABEL
    all_ids |
        awk -F. -v l="$1" '$1 == l { n = NF > 1 ? $2 : 1; most = n > most ? n : most } END { print l "." most + 1 }'
}

need_ca() { # LABEL|ID
    [[ $1 =~ ^[a-z0-9-]+(\.[0-9]+)?$ && -n $(generations "$1") ]] ||
        fail $EX_DATA "no registrar $1 in $DIR: make it with liaison-ca registrar $1"
}

need_key() { # ID
    [ -r "$(ca_path "$1")/ca.key" ] ||
        fail $EX_NOINPUT "$(ca_path "$1")/ca.key is not here: bring the key of $1 for this step"
}

new_ca_dir() { # PATH
    mkdir -p "$1/issued"
    : >"$1/index.txt"
    : >"$1/journal"
    echo 01 >"$1/crlnumber"
    echo "$END" >"$1/ends"
}

# A certificate must not outlive its CA: it would fail its check without warning.
within_ca() { # ID
    local ends
    ends=$(<"$(ca_path "$1")/ends")
    [[ $END < $ends || $END = "$ends" ]] ||
        fail $EX_USAGE "it would end ($END) after the CA of $1 itself ($ends): fewer --days"
}

# A root that vouches for itself, in a folder that is not there yet.
make_root() { # ID
    local new
    set_validity 3650
    new=$(mktemp -d "$DIR/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    new_ca_dir "$new"
    make_key_and_request "$new/ca.key" "$new/csr"
    sign_request "$new" root "$1" "$new/csr" - "$(network_dn)/OU=root/CN=$1" -selfsign -keyfile "$new/ca.key"
    cp "$CERT" "$new/ca.crt"
    rm "$new/csr"
    mv "$new" "$DIR/$1"
    trap - EXIT
}

# An issuing CA under the newest root, fenced on its label's host.
make_registrar() { # ID
    local root new
    root=$(newest root)
    need_key "$root"
    set_validity 1825
    within_ca "$root"
    new=$(mktemp -d "$DIR/registrars/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    new_ca_dir "$new"
    make_key_and_request "$new/ca.key" "$new/csr"
    LIAISON_HOST=${1%%.*}.$NETWORK
    sign_request "$(ca_path "$root")" registrar "$1" "$new/csr" - "$(network_dn)/OU=registrar/CN=$1"
    cp "$CERT" "$new/ca.crt"
    rm "$new/csr"
    mv "$new" "$DIR/registrars/$1"
    trap - EXIT
}

cmd_root() {
    [ $# = 0 ] || fail $EX_USAGE "root takes no argument"
    NETWORK=${OPT[network]:-}
    [ -n "$NETWORK" ] || fail $EX_USAGE "root needs --network NAME"
    is_network "$NETWORK" || fail $EX_USAGE "--network $NETWORK: not a name like practicies.example"
    [ ! -e "$DIR/network" ] && [ ! -e "$DIR/root" ] ||
        fail $EX_CANTCREAT "$DIR already holds a CA: choose another directory"
    set_validity 3650
    mkdir -p "$DIR/registrars" && chmod 700 "$DIR" || fail $EX_CANTCREAT "$DIR: cannot be made"
    make_root root
    bundle_ca | put_file "$DIR/ca.crt" 644
    echo "$NETWORK" | put_file "$DIR/network" 600
    say "root CA of $NETWORK in $DIR, valid until $END; next: liaison-ca registrar LABEL"
}

cmd_registrar() {
    [ $# = 1 ] || fail $EX_USAGE "registrar needs one LABEL, such as fr"
    is_label "$1" && [ "$1" != root ] || fail $EX_USAGE "$1: not a label like fr"
    open_dir
    [ -z "$(generations "$1")" ] && [ ! -e "$DIR/retired/$1" ] ||
        fail $EX_CANTCREAT "registrar $1 is already in $DIR"
    make_registrar "$1"
    bundle_ca | put_file "$DIR/ca.crt" 644
    say "registrar $1 may name members of spiffe://$LIAISON_HOST/ until $END; next: liaison-ca crl, liaison-ca issue"
}

# ---------------------------------------------------------------- one key follows another

cmd_rotate() {
    [ $# = 1 ] || fail $EX_USAGE "rotate needs one LABEL, or root"
    open_dir
    { [ "$1" = root ] || is_label "$1"; } || fail $EX_USAGE "$1: not a label like fr, nor root"
    need_ca "$1"
    local id
    id=$(next_id "$1")
    if [ "$1" = root ]; then make_root "$id"; else make_registrar "$id"; fi
    OPT[days]='' OPT[start]='' OPT[end]='' # they were the certificate's, not its list's
    make_list "$id"
    bundle_ca | put_file "$DIR/ca.crt" 644
    bundle_crl | put_file "$DIR/crl.pem" 644
    say "$1 signs with $id from now, until $END. Before it issues anything, give crl.pem and then ca.crt of $DIR to the broker"
    say "(SIGHUP) and to every member: whoever has the old ca.crt does not know $id"
    [ "$1" != root ] || say "next: liaison-ca rotate LABEL for each registrar, so that it stands under $id"
    say "The old key stays in force for what it signed; when all of that has ended: liaison-ca retire $1"
}

cmd_retire() {
    [ $# = 1 ] || fail $EX_USAGE "retire needs one LABEL, or root"
    open_dir
    need_ca "$1"
    local id valid
    id=$(generations "$1" | head -n 1)
    [ "$id" != "$(newest "$1")" ] || fail $EX_DATA "$1 has one key only: liaison-ca rotate $1 makes the next"
    valid=$(issued "$id" | awk -F'\t' '$3 == "valid" && $5 != "root" {n++; if ($4 > last) last = $4} END {if (n) print n ", the last until " last}')
    [ -z "$valid" ] || fail $EX_DATA "certificates that $id signed are valid ($valid): renew them first, and let them end or revoke them"
    [[ $id = root* ]] || revoke_authority "$id"
    rm -f "$(ca_path "$id")/ca.key"
    mkdir -p "$DIR/retired"
    mv "$(ca_path "$id")" "$DIR/retired/$id"
    bundle_ca | put_file "$DIR/ca.crt" 644
    bundle_crl | put_file "$DIR/crl.pem" 644
    say "$id is retired, and its key is destroyed. Give ca.crt and crl.pem of $DIR to the broker (SIGHUP) and to every member"
}

# Revoked by its root, and on the root's new list: a stolen copy of its key is worth nothing.
revoke_authority() { # ID
    local root serial
    IFS='	' read -r root serial _ <<<"$(find_issued "$(ca_path "$1")/ca.crt")"
    need_key "$root"
    record_revocation "$root" "$serial" superseded
    make_list "$root"
}

# ---------------------------------------------------------------- lists and bundles

bundle_ca() {
    local id
    for id in $(ca_ids); do cat "$(ca_path "$id")/ca.crt"; done
}

bundle_crl() {
    local id
    for id in $(ca_ids); do
        if [ -e "$(ca_path "$id")/crl.pem" ]; then
            cat "$(ca_path "$id")/crl.pem"
        else
            say "warning: no revocation list of $id yet, nobody will take this bundle: liaison-ca crl $id"
        fi
    done
}

# How long a list may be used. The root is meant to lie in a safe: its list lives longer.
crl_days() { # ID
    if [[ $1 = root || $1 = root.* ]]; then echo 90; else echo 7; fi
}

make_list() { # ID
    local ca START END
    ca=$(ca_path "$1")
    set_validity "$(crl_days "$1")"
    LIAISON_CA=$ca quiet openssl ca -config "$CNF" -gencrl -crl_lastupdate "$START" -crl_nextupdate "$END" \
        -out "$ca/.crl.new"
    mv -f "$ca/.crl.new" "$ca/crl.pem"
    say "$1: revocation list made, valid until $END"
}

cmd_crl() {
    open_dir
    check_out
    local label id given=$#
    [ -z "${OPT[publish]:-}" ] || check_place "${OPT[publish]}"
    # shellcheck disable=SC2046
    [ $# -gt 0 ] || set -- $(ca_ids)
    for label; do need_ca "$label"; done
    for label; do
        for id in $(generations "$label"); do
            if [ ! -r "$(ca_path "$id")/ca.key" ] && [ $given = 0 ]; then # an offline key: keep its last list
                say "$id: its key is not here, its last list stays"
                continue
            fi
            need_key "$id"
            make_list "$id"
        done
    done
    bundle_crl | put_file "$DIR/crl.pem" 644
    if [ -n "${OPT[publish]:-}" ]; then publish_list "${OPT[publish]}"; else put_out <"$DIR/crl.pem"; fi
}

# Where the broker or a web server reads it: only if nobody would be kept out by it. Whole or not at all, also after power loss.
publish_list() { # FILE
    local id ca
    for id in $(ca_ids); do
        ca=$(ca_path "$id")
        openssl crl -in "$ca/crl.pem" -noout -CAfile "$ca/ca.crt" >/dev/null 2>&1 &&
            [[ $(list_ends "$id") > $(stamp "$EPOCHSECONDS") ]] ||
            fail $EX_DATA "$1 stays as it is: $id has no list that holds, and everybody would be kept out: liaison-ca crl $id"
    done
    put_file "$1" 644 <"$DIR/crl.pem"
    sync "$1" "$(dirname "$1")" || fail $EX_IOERR "$1: cannot be made durable"
    say "published: $1"
}

# When the list of a CA ends, as openssl writes times; false if it has none.
list_ends() { # ID
    local ends
    ends=$(openssl crl -in "$(ca_path "$1")/crl.pem" -noout -nextupdate 2>/dev/null) || return 1
    date -d "${ends#*=}" +%Y%m%d%H%M%SZ
}

cmd_ca_bundle() {
    [ $# = 0 ] || fail $EX_USAGE "ca-bundle takes no argument"
    open_dir
    bundle_ca | put_out
}
