# bash completion of gmlpc(1)
_gmlpc() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local commands="compile check info graph pack init export run verify bench tune explore fmt lsp explain"
    COMPREPLY=()
    case $previous in
    --target | -t) mapfile -t COMPREPLY < <(compgen -W "all scalar avx2 avx512 neon" -- "$current"); return ;;
    --backend) mapfile -t COMPREPLY < <(compgen -W "llvm c" -- "$current"); return ;;
    --level | -l) mapfile -t COMPREPLY < <(compgen -W "block equation" -- "$current"); return ;;
    --direction) mapfile -t COMPREPLY < <(compgen -W "down right" -- "$current"); return ;;
    --weights-mode) mapfile -t COMPREPLY < <(compgen -W "file incbin inline" -- "$current"); return ;;
    --emit) mapfile -t COMPREPLY < <(compgen -W "ast equations passes schedule loops c llvm" -- "$current"); return ;;
    --schedule) mapfile -t COMPREPLY < <(compgen -f -X '!*.schedule' -- "$current"; compgen -d -- "$current"); return ;;
    --weights | -w) mapfile -t COMPREPLY < <(compgen -f -X '!*.@(safetensors|npz|json)' -- "$current"; compgen -d -- "$current"); return ;;
    explain) mapfile -t COMPREPLY < <(compgen -W "$(gmlpc explain 2>/dev/null | grep -o 'GM[0-9]*')" -- "$current"); return ;;
    esac
    if [[ $current == -* ]]; then
        local command=compile word
        for word in "${COMP_WORDS[@]:1}"; do
            [[ " $commands " == *" $word "* ]] && command=$word && break
        done
        mapfile -t COMPREPLY < <(compgen -W "$(gmlpc "$command" --help 2>/dev/null | grep -oE -- '(^|[ ,])--[a-z-]+')" -- "$current")
        return
    fi
    if [[ $COMP_CWORD == 1 ]]; then mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current"); fi
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -X '!*.gm' -- "$current"; compgen -d -- "$current")
}
complete -o filenames -F _gmlpc gmlpc
