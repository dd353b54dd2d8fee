
# Offers options for a word that begins with a hyphen, and commands, values and files for any other word.
_lightclient_words() {
    _lightclient "$@"
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" word
    [[ ${cur} == -* ]] && return 0
    local words=()
    for word in "${COMPREPLY[@]}"; do
        [[ ${word} == -* || ${word} == "["* || ${word} == "<"* ]] || words+=("${word}")
    done
    case "${prev}" in
        query|block|--block|--to) words+=($(compgen -W "tip" -- "${cur}")) ;;
        export) words+=($(compgen -W "FORMATS hints" -- "${cur}")) ;;
        import) words+=($(compgen -W "FORMATS" -- "${cur}")) ;;
    esac
    case "${prev}" in
        export|import) words+=($(compgen -f -- "${cur}")) ;;
        query) compopt +o default +o bashdefault 2>/dev/null ;;
    esac
    COMPREPLY=("${words[@]}")
    return 0
}
