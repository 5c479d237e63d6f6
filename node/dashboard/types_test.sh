#!/bin/bash
# The dashboard's types fit together.
compiler=node/dashboard/node_modules/@typescript/typescript-linux-x64/lib/tsc
[[ -x $compiler ]] || { echo "$compiler is missing: run deploy/setup"; exit 1; }
exec "$compiler" --project node/dashboard/tsconfig.json
