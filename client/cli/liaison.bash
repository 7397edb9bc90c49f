# shellcheck shell=bash
# Completion for liaison(1). Everything comes from the program itself, and nothing from the broker: an id is not completed,
# because looking for one would be a read that is logged.

# The value of an option, by what --list-options calls it: WORD PREFIX
_liaison_value() {
    case $1 in
    DIR) mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
    PATH | *FILE*) mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
    COMMAND) mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
    *) return ;;
    esac
    compopt -o filenames 2>/dev/null
}

# What --list-options calls the value of an option; nothing if it takes none: PROGRAM COMMAND OPTION
_liaison_takes() {
    # shellcheck disable=SC2086 # no command is no word
    "$1" $2 --list-options 2>/dev/null | sed -n "s/^$3 //p"
}

# The arguments of a command, by its usage: PROGRAM COMMAND PREFIX
_liaison_argument() {
    local usage words
    usage=$("$1" "$2" --help 2>/dev/null | head -n 1)
    case $usage in
    *FILE* | *" enrol "*) _liaison_value FILE "$3" ;;
    *"["*"|"*"]"*)
        words=${usage#*[}
        words=${words%%]*}
        mapfile -t COMPREPLY < <(
            compgen -W "${words//|/ }" -- "$3"
            [[ $usage != *PATH* ]] || compgen -f -- "$3"
        )
        ;;
    esac
}

_liaison() {
    local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' i
    COMPREPLY=()
    type -P "$program" >/dev/null || program=liaison
    for ((i = 1; i < COMP_CWORD; i++)); do # the command: the first word that is neither an option nor the value of one
        case ${COMP_WORDS[i]} in
        --*) [ "${COMP_WORDS[i + 1]}" = = ] || [ -z "$(_liaison_takes "$program" '' "${COMP_WORDS[i]}")" ] || i=$((i + 1)) ;;
        = | -h) ;;
        *)
            [ "${COMP_WORDS[i - 1]}" = = ] && continue
            command=${COMP_WORDS[i]}
            break
            ;;
        esac
    done
    if [ "$word" = = ]; then
        word=
    elif [ "$before" = = ]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [[ $before == --* ]] && [ -n "$(_liaison_takes "$program" "$command" "$before")" ]; then
        _liaison_value "$(_liaison_takes "$program" "$command" "$before")" "$word"
    elif [[ $word == -* ]]; then
        # shellcheck disable=SC2086
        mapfile -t COMPREPLY < <(compgen -W "$("$program" $command --list-options 2>/dev/null | cut -d' ' -f1)" -- "$word")
    elif [ -z "$command" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" --list-commands 2>/dev/null)" -- "$word")
    else
        _liaison_argument "$program" "$command" "$word"
    fi
}

complete -F _liaison liaison
