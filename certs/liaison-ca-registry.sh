# shellcheck shell=bash disable=SC2015,SC2034,SC2086,SC2154 # its variables are those of liaison-ca; words hold no blanks
# The registry: what was issued to whom, what was revoked, what ends soon, what is published. Sourced by liaison-ca.

# One line per certificate of the given authorities, oldest first, fields between tabs, "-" for what is not known:
# 1 ID  2 serial  3 state  4 until  5 profile  6 name  7 SHA-256 of the certificate  8 of its key  9 officer who asked
# 10 issued  11 from  12 revoked  13 why  14 officer who asked for that
issued() { # ID ...
    local id ca
    for id; do
        ca=$(ca_path "$id")
        [ -e "$ca/revocations" ] || : >"$ca/revocations"
        awk -F'\t' -v OFS='\t' -v id="$id" -v now="$(stamp "$EPOCHSECONDS")" '
            function whole(time) { return length(time) == 13 ? (substr(time, 1, 2) < 50 ? "20" : "19") time : time }
            function known(text) { return text == "" ? "-" : text }
            FILENAME == ARGV[1] {
                profile[$1] = $2; name[$1] = $3; print_of[$1] = $4; key[$1] = $5
                officer[$1] = $6; issued[$1] = $7; from[$1] = $8
                next
            }
            FILENAME == ARGV[2] { who[$1] = $2; next }
            {
                until = whole($2)
                split($3, why, ",")
                state = $1 == "R" ? "revoked" : until < now ? "expired" : "valid"
                print id, $4, state, until, ($4 in profile ? profile[$4] : "?"), ($4 in name ? name[$4] : $6), \
                    known(print_of[$4]), known(key[$4]), known(officer[$4]), known(issued[$4]), known(from[$4]), \
                    ($1 == "R" ? whole(why[1]) : "-"), ($1 == "R" ? known(why[2]) : "-"), ($1 == "R" ? known(who[$4]) : "-")
            }' "$ca/journal" "$ca/revocations" "$ca/index.txt"
    done
}

# Lines of issued() for people, or with --json for programs.
show_issued() {
    awk -F'\t' -v json="${OPT[json]:-}" '
        function time(t) {
            if (t !~ /^[0-9]+Z$/) return t
            return substr(t, 1, 4) "-" substr(t, 5, 2) "-" substr(t, 7, 2) (json ? "T" : " ") substr(t, 9, 2) ":" \
                substr(t, 11, 2) (json ? ":" substr(t, 13, 2) "Z" : "")
        }
        function field(word, text) { return text == "-" ? "" : ",\"" word "\":\"" text "\"" }
        BEGIN {
            form = "%-24s %-17s %-17s %-9s %-32s %-40s %s\n"
            if (!json) printf form, "STATE", "FROM", "ENDS", "PROFILE", "NAME", "SERIAL", "MORE"
        }
        json {
            print "{\"ca\":\"" $1 "\"" field("serial", $2) field("state", $3) field("profile", $5) field("name", $6) \
                field("from", time($11)) field("until", time($4)) field("issued", time($10)) field("officer", $9) \
                field("revoked", time($12)) field("reason", $13) field("revoking_officer", $14) \
                field("certificate_sha256", $7) field("key_sha256", $8) "}"
            next
        }
        {
            printf form, $3 ($13 != "-" ? ":" $13 : ""), time($11), time($4), $5, $6, $2, \
                "by " $1 ($9 != "-" ? ", asked by " $9 : "") ($12 != "-" ? ", revoked " time($12) : "") \
                ($14 != "-" ? " asked by " $14 : "") ", certificate " $7 (length($8) == 64 ? ", key " $8 : "")
        }'
}

cmd_list() {
    [ $# -le 1 ] || fail $EX_USAGE "list takes one LABEL or root, or nothing for all"
    open_dir
    local ids
    if [ $# = 0 ]; then
        ids=$(all_ids)
    else
        ids=$(all_ids | awk -F. -v id="$1" '$1 == id || $0 == id')
        [ -n "$ids" ] || need_ca "$1"
    fi
    local before='' days
    if [ -n "${OPT[expiring]:-}" ]; then
        days=$(a_number --expiring "${OPT[expiring]}")
        before=$(stamp $((EPOCHSECONDS + days * 86400)))
    fi
    # shellcheck disable=SC2086 # IDs hold no blanks
    issued $ids | awk -F'\t' -v member="${OPT[member]:-}" -v before="$before" \
        '(member == "" || $6 == member || index($6, member "/approver/") == 1) && (before == "" || $3 == "valid" && $4 <= before)' |
        show_issued
}

# Lines of issued() that FILE, SERIAL or NAME means, oldest first. An issuing CA's label means all its generations.
find_issued() { # WHAT [with-approvers]
    local what=$1 found all
    # shellcheck disable=SC2046
    all=$(issued $(all_ids))
    if [ -f "$what" ]; then
        local print
        print=$(openssl x509 -in "$what" -outform DER 2>/dev/null | sha256sum | cut -c1-64)
        found=$(awk -F'\t' -v w="$print" '$7 == w' <<<"$all")
    elif [[ $what =~ ^[0-9A-Fa-f]{8,40}$ ]]; then
        found=$(awk -F'\t' -v w="${what^^}" '$2 == w' <<<"$all")
    else
        found=$(awk -F'\t' -v w="$what" -v approvers="${2:-}" '$5 != "root" && ($6 == w ||
            $5 == "registrar" && index($6, w ".") == 1 || approvers != "" && index($6, w "/approver/") == 1)' <<<"$all")
    fi
    [ -n "$found" ] || fail $EX_DATA "$what: no certificate of this CA; see liaison-ca list"
    printf '%s\n' "$found"
}

# ---------------------------------------------------------------- what ends soon

# days left | how to say it; the last that fits counts, and its place is the exit status
STEPS='30|plan to renew it
14|ask for a new one
7|renew it this week
1|renew it now'

# For a timer: says what ends within 30 days and has no successor yet. Exit status 0 nothing, 1 to 4 the most urgent step.
cmd_warn() {
    [ $# = 0 ] || fail $EX_USAGE "warn takes no argument"
    open_dir
    local worst=0 ends what step status days words
    while IFS='	' read -r ends what; do
        step=0 status=0
        while IFS='|' read -r days words; do
            step=$((step + 1))
            [[ $ends > $(stamp $((EPOCHSECONDS + days * 86400))) ]] || status=$step said=$words
        done <<<"$STEPS"
        [ $status -gt 0 ] || continue
        # what a list may last is days, so that it is no news before its last one
        [[ $what != 'list of '* || $what = 'list of root'* || $status = 4 ]] || continue
        printf '%s %s: %s\n' "$what" "$(ends_when "$ends")" "$said"
        [ $status -le $worst ] || worst=$status
    done < <(what_ends)
    exit $worst
}

ends_when() { # TIME
    if [ "$1" = - ]; then
        echo 'was never made'
    elif [[ $1 < $(stamp "$EPOCHSECONDS") ]]; then
        echo "has ended, ${1:0:4}-${1:4:2}-${1:6:2} ${1:8:2}:${1:10:2} UTC"
    else
        echo "ends ${1:0:4}-${1:4:2}-${1:6:2} ${1:8:2}:${1:10:2} UTC"
    fi
}

# Lines of an end and what ends then: certificates with nothing valid after them, and every list ("-": there is none).
what_ends() {
    local id
    # shellcheck disable=SC2046
    issued $(ca_ids) | awk -F'\t' -v OFS='\t' '
        $3 != "valid" { next }
        {
            who = $6
            if ($5 == "registrar" || $5 == "root") sub(/\.[0-9]+$/, "", who)
            who = $5 " certificate of " who
            if ($4 > last[who]) { last[who] = $4; serial[who] = $2 }
        }
        END { for (who in last) print last[who], who " (" serial[who] ")" }' | sort
    for id in $(ca_ids); do
        printf '%s\tlist of %s\n' "$(list_ends "$id" || echo -)" "$id"
    done
}

# ---------------------------------------------------------------- revocation

record_revocation() { # ID SERIAL REASON
    LIAISON_CA=$(ca_path "$1") quiet openssl ca -config "$CNF" -revoke "$(ca_path "$1")/issued/$2.pem" -crl_reason "$3"
    printf '%s\t%s\n' "$2" "${OPT[officer]:--}" >>"$(ca_path "$1")/revocations"
}

cmd_revoke() {
    [ $# = 1 ] || fail $EX_USAGE "revoke needs one FILE, SERIAL or NAME"
    local reason=${OPT[reason]:-unspecified} word found count=0 id serial state _end profile name _more
    for word in unspecified keyCompromise CACompromise affiliationChanged superseded cessationOfOperation; do
        [ "${word,,}" = "${reason,,}" ] && break
        word=
    done
    [ -n "$word" ] || fail $EX_USAGE "--reason $reason: not a reason, see liaison-ca revoke --help"
    open_dir
    found=$(find_issued "$1" with-approvers)
    while IFS='	' read -r id serial state _end profile name _more; do
        [[ $state != revoked && ${OPT[profile]:-$profile} = "$profile" ]] || continue
        [ "$profile" != root ] || fail $EX_DATA "a root cannot revoke itself: give every member a new root instead"
        need_key "$id"
        record_revocation "$id" "$serial" "$word"
        say "revoked: $profile certificate $serial of $name ($word)"
        count=$((count + 1))
    done <<<"$found"
    [ $count -gt 0 ] || fail $EX_DATA "$1: already revoked"
    say "It is in force once the new list is out: liaison-ca crl --out crl.pem, give crl.pem to the broker (then SIGHUP)"
    say "and to every member, and liaison-ca publish --to DIRECTORY to take revoked sealing certificates back."
}

# ---------------------------------------------------------------- publish

# "fr.lyon.probation-<sha256>.pem". For people: the broker takes the name from the certificate.
published_name() { # NAME FINGERPRINT
    local name=${1//\//.}
    echo "${name:0:180}-$2.pem"
}

is_withdrawn() { # ID SERIAL
    grep -qsx "$2" "$(ca_path "$1")/withdrawn"
}

# Lines of issued(), of what is to stand in the directory: valid sealing certificates that nobody withdrew.
publishable() {
    local line id serial state profile
    while IFS= read -r line; do
        IFS='	' read -r id serial state _ profile _ <<<"$line"
        [ "$profile $state" != 'seal valid' ] || is_withdrawn "$id" "$serial" || printf '%s\n' "$line"
    done
}

cmd_publish() {
    local to=${OPT[to]:-} what found all id serial state _end profile name print _more
    [ -n "$to" ] || fail $EX_USAGE "publish needs --to DIRECTORY"
    open_dir
    if [ ! -d "$to" ]; then
        mkdir -p "$to" || fail $EX_CANTCREAT "$to: cannot be made"
        chmod 755 "$to" # it holds nothing but public certificates, and the broker must read it
    fi
    if [ $# = 0 ]; then # shellcheck disable=SC2046
        all=$(issued $(all_ids))
        found=$(publishable <<<"$all")
        take_back "$to" "$found" <<<"$all"
    else
        for what; do found+=${found:+$'\n'}$(find_issued "$what" | awk -F'\t' -v n="$what" '$6 != n || $5 == "seal" && $3 == "valid"'); done
    fi
    [ -n "$found" ] || fail $EX_DATA "no valid sealing certificate to publish"
    while IFS='	' read -r id serial state _end profile name print _more; do
        [ "$profile" = seal ] || fail $EX_DATA "$serial of $name is a $profile certificate: only sealing ones are published"
        [ "$state" = valid ] || fail $EX_DATA "$serial of $name is $state"
        put_file "$to/$(published_name "$name" "$print")" 644 <"$(ca_path "$id")/issued/$serial.pem"
        ! is_withdrawn "$id" "$serial" || sed -i "/^$serial\$/d" "$(ca_path "$id")/withdrawn"
    done <<<"$found"
    say "published in $to: $(wc -l <<<"$found") sealing certificates; the broker reads them at SIGHUP"
}

# Removes what we published and is not to stand there any more.
take_back() { # DIRECTORY PUBLISHABLE, lines of issued() on standard input
    local line _id _serial _state _end profile name print _more
    while IFS= read -r line; do
        IFS='	' read -r _id _serial _state _end profile name print _more <<<"$line"
        [ "$profile" = seal ] && ! grep -qxF -- "$line" <<<"$2" || continue
        rm -f "$1/$(published_name "$name" "$print")"
    done
}

# Nobody seals to it from now on; it stays valid, so that nothing which was sealed to it is in doubt.
cmd_withdraw() {
    local to=${OPT[to]:-} found id serial state _end profile name print _more
    [ $# = 1 ] || fail $EX_USAGE "withdraw needs one SERIAL or FILE"
    [ -d "$to" ] || fail $EX_USAGE "withdraw needs --to DIRECTORY, the one that publish writes"
    open_dir
    found=$(find_issued "$1")
    [ "$(wc -l <<<"$found")" = 1 ] || fail $EX_DATA "$1 means several certificates: say which SERIAL, see liaison-ca list"
    IFS='	' read -r id serial state _end profile name print _more <<<"$found"
    [ "$profile" = seal ] || fail $EX_DATA "$serial of $name is a $profile certificate: only sealing ones are published"
    [ "$state" = valid ] || fail $EX_DATA "$serial of $name is $state: liaison-ca publish takes it back by itself"
    # shellcheck disable=SC2046
    issued $(ca_ids) | publishable | awk -F'\t' -v name="$name" -v serial="$serial" \
        '$6 == name && $2 != serial {n++} END {exit !n}' ||
        fail $EX_DATA "nobody could seal to $name any more: publish its new certificate first, or revoke this one"
    is_withdrawn "$id" "$serial" || echo "$serial" >>"$(ca_path "$id")/withdrawn"
    rm -f "$to/$(published_name "$name" "$print")"
    say "withdrawn: $serial of $name; the broker reads it at SIGHUP. The member keeps the key as long as something that was sealed"
    say "to it is open; publish $serial puts it back"
}
