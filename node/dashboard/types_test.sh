#!/bin/bash
# The dashboard's types fit together.
compiler=node/dashboard/node_modules/@typescript/typescript-linux-x64/lib/tsc
[[ -x $compiler ]] || { echo "SKIPPED: $compiler is missing: run deploy/setup"; exit 0; }
exec "$compiler" --project node/dashboard/tsconfig.json
