#!/bin/bash
# engine_instructions.sh PROGRAM NUMBERS [print]: counts the instructions an event of fixed runs with callgrind, which does
# not depend on the machine's speed or load, and compares with the committed numbers; `print` writes new ones.
set -euo pipefail
program=$1 numbers=$2
margin_percent=3  # the count is exact; compilers of the same version and libraries' dispatch by processor stay within this

if ! grep -qw avx2 /proc/cpuinfo; then
  echo 'the committed numbers are of machines with AVX2, which sort small ticks another way: nothing to compare here'
  exit
fi
command -v valgrind >/dev/null || { echo 'valgrind is missing: run deploy/setup'; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Instructions in tenths an event.
tenths_of() {
  local events digest collected
  valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no --toggle-collect=rse_measured_run \
    "$program" "$1" "$2" >"$work/out" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
  read -r events digest <"$work/out"
  collected=$(awk '/Collected *:/ { print $NF }' "$work/log")
  echo $((collected * 10 / events))
}

if [[ ${3-} == print ]]; then
  echo '# model, pending events, instructions an event in tenths; written by //tests/bench:engine_instructions (see BUILD)'
  for model in delay-1 mixed phold; do
    for pending in 10 32 1000 32768; do
      echo "$model $pending $(tenths_of "$model" "$pending")"
    done
  done
  exit
fi

failed=0
while read -r model pending expected; do
  [[ $model == '#' ]] && continue
  tenths=$(tenths_of "$model" "$pending")
  verdict=same
  if ((tenths * 100 > expected * (100 + margin_percent))); then
    verdict="MORE by over $margin_percent %: find what costs it"
    failed=1
  elif ((tenths * 100 < expected * (100 - margin_percent))); then
    verdict="fewer by over $margin_percent %: commit the new number, so that it is kept (BUILD says how)"
    failed=1
  fi
  echo "$model $pending: $((tenths / 10)).$((tenths % 10)) instructions an event, committed $((expected / 10)).$((expected % 10)): $verdict"
done <"$numbers"
exit $failed
