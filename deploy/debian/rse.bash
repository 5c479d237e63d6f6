# Completion for rse and rse-node: both are asked what they take, so that this file never falls behind.
_rse() {
  local current=${COMP_WORDS[COMP_CWORD]} words
  if [[ $1 == rse && $COMP_CWORD -eq 1 ]]; then
    words=$(rse --help 2>/dev/null | sed -n '/^Subcommands:/,$s/^  \([a-z-]*\) .*/\1/p')
  elif [[ $current == -* ]]; then
    local asked=("$1")
    [[ $1 == rse ]] && asked+=("${COMP_WORDS[1]}")
    words=$("${asked[@]}" --help 2>/dev/null | grep -oE -- '^ +(-[a-z],)?--[a-z-]+' | grep -oE -- '--[a-z-]+')
  else
    COMPREPLY=($(compgen -f -- "$current"))
    return
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o filenames -F _rse rse rse-node
