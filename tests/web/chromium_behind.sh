#!/bin/bash
# Chromium behind everything else that runs. playwright-core gives it a session of its own: where the kernel groups
# processes by session, `nice` counts inside a session alone. For root, the process that draws would put itself before
# all others again.
{ echo 10 >/proc/self/autogroup; } 2>/dev/null || true
without_rank=()
[[ $EUID != 0 ]] || without_rank=(setpriv --bounding-set -sys_nice)
exec "${without_rank[@]}" /usr/bin/chromium "$@"
