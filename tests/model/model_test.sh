#!/bin/bash
# Checks the two models exhaustively within their bounds, then that each planted error is found. See model.md.
# Run by hand it also prints the states of each run: tests/model/model_test.sh tests/model
set -uo pipefail
models=$(cd "${1:-tests/model}" && pwd)
scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/model-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
failures=0

fail() {
  printf 'FAILED: %s\n' "$*"
  failures=$((failures + 1))
}

# verify DEPTH MODEL DEFINES...: leaves pan's report in $report. One hash table for all states, no bitstate hashing;
# COLLAPSE only packs the states that are stored.
verify() {
  local depth=$1 model=$2
  shift 2
  report=
  (cd "$scratch" && spin -a "$@" "$models/$model.pml" && gcc -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c) \
    >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "$model $*: SPIN or the compiler refuses it"; return 1; }
  report=$(cd "$scratch" && ./pan -n -w22 "-m$depth" 2>&1)
}

holds() {
  verify 10000 "$@" || return
  if ! grep -q 'errors: 0$' <<<"$report"; then
    fail "$*: $(grep -m1 -E 'violated|errors' <<<"$report")"
  elif grep -qE 'Search not completed|search depth too small|out of memory|BITSTATE' <<<"$report"; then
    fail "$*: the search was not complete"
  else
    printf 'holds  %s: %s states\n' "$*" "$(awk '/states, stored/ {print $1}' <<<"$report")"
  fi
}

# The model with a planted error has to break an assertion; a limited depth finds it sooner.
catches() {
  verify "$@" || return
  if grep -q 'assertion violated' <<<"$report"; then
    printf 'caught %s after %s states\n' "${*:2}" "$(awk '/states, stored/ {print $1}' <<<"$report")"
  else
    fail "${*:2}: the planted error was not found"
  fi
}

holds agreement -DFIRST=1 -DROUNDS=1 -DCRASHES=1
holds agreement -DFIRST=2 -DROUNDS=1 -DCRASHES=2
holds agreement -DFIRST=2 -DROUNDS=2 -DPROPOSERS=1 -DCRASHES=2
holds fencing -DVIEWS=3 -DEPOCHS=1 -DCRASHES=1
holds fencing -DVIEWS=2 -DEPOCHS=2 -DCRASHES=1
holds fencing -DVIEWS=4 -DEPOCHS=1 -DCRASHES=0 -DFEW_MOVES
holds fencing -DVIEWS=3 -DEPOCHS=1 -DCRASHES=1 -DANY_FAILURES

agreement=(agreement -DFIRST=2 -DROUNDS=1)
catches 10000 "${agreement[@]}" -DPLANT_VOTE_NOT_PERSISTED
catches 150 "${agreement[@]}" -DCRASHES=0 -DPLANT_PROMISE_WITHOUT_CHECK
catches 150 "${agreement[@]}" -DCRASHES=0 -DPLANT_ACCEPT_WITHOUT_CHECK
catches 10000 "${agreement[@]}" -DPLANT_ACCEPTED_VALUE_IGNORED
catches 10000 "${agreement[@]}" -DPLANT_BALLOT_REUSED
catches 10000 "${agreement[@]}" -DPLANT_BALLOTS_SHARED
catches 10000 "${agreement[@]}" -DPLANT_MINORITY
catches 10000 agreement -DFIRST=1 -DROUNDS=1 -DPLANT_VOTERS_IGNORED

fencing=(fencing -DVIEWS=3 -DEPOCHS=1)
catches 10000 "${fencing[@]}" -DPLANT_ACKNOWLEDGED_AT_ONCE
catches 10000 "${fencing[@]}" -DPLANT_WORD_OF_LATER_VIEW
catches 10000 "${fencing[@]}" -DPLANT_OLD_HOST_ACCEPTED
catches 10000 "${fencing[@]}" -DPLANT_GATHER_FROM_ONE
catches 10000 "${fencing[@]}" -DPLANT_GATHER_IN_ANY_VIEW
catches 10000 "${fencing[@]}" -DPLANT_GATHERED_FORGOTTEN
catches 10000 "${fencing[@]}" -DNODES=4 -DPLANT_GATHER_FROM_HOLDERS
rejoining=(fencing -DVIEWS=4 -DEPOCHS=1 -DCRASHES=0 -DFEW_MOVES)
catches 10000 "${rejoining[@]}" -DPLANT_ADMITTED_KEEPS_LOG
catches 10000 "${rejoining[@]}" -DPLANT_JOIN_OF_ANY_VIEW
catches 10000 "${rejoining[@]}" -DPLANT_WORD_BEFORE_ADMISSION
catches 10000 "${rejoining[@]}" -DPLANT_VIEW_OF_PACKET_IGNORED
catches 10000 fencing -DVIEWS=2 -DEPOCHS=2 -DPLANT_NO_CLIENT_TABLE
catches 10000 fencing -DVIEWS=2 -DEPOCHS=2 -DPLANT_REPEAT_ANSWERED_AT_ONCE

((failures == 0))
