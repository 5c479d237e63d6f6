#!/bin/bash
# run.sh SCRIPT.mjs ARGUMENT...: from the runfiles, whether Bazel tests or runs it.
cd "${RUNFILES_DIR:-$0.runfiles}/rse" 2>/dev/null || true
command -v node >/dev/null || { echo 'SKIPPED: node is missing: run deploy/setup'; exit 0; }
for thought in node/dashboard/*.mjs; do
  [[ ! -e $thought || -s $thought ]] ||
    { echo "SKIPPED: the dashboard's packages are missing: run deploy/setup"; exit 0; }
done
exec node --preserve-symlinks --preserve-symlinks-main "tests/web/$1" "${@:2}"
