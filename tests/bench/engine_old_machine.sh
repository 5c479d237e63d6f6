#!/bin/bash
# engine_old_machine.sh FIXED_RUN TEST...: on an emulated Core 2 of 2006 the engine computes the digests of this machine, and
# its tests pass, with fewer seeds. An instruction that is newer than that ends the program.
set -euo pipefail
fixed_run=$1
shift
emulator=(qemu-x86_64 -cpu core2duo)
command -v qemu-x86_64 >/dev/null || { echo 'qemu-x86_64 is missing: run deploy/setup'; exit 1; }

for model in delay-1 mixed phold; do
  for pending in 10 32 1000 32768; do
    here=$("$fixed_run" "$model" "$pending")
    there=$("${emulator[@]}" "$fixed_run" "$model" "$pending")
    [[ $here == "$there" ]] || { echo "$model $pending: $here here, $there on a Core 2"; exit 1; }
    echo "$model $pending: events and digest $here on both"
  done
done
for test in "$@"; do
  RSE_SEEDS_PERCENT=5 "${emulator[@]}" "$test"
done
