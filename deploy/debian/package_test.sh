#!/bin/bash
# The Debian package: holds what it should; is installed into a folder, and its daemons found a cluster, join it and
# stop as the package's users would have them; is removed and leaves nothing.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin

package=$PWD/deploy/debian/rse_amd64.deb
work=$(mktemp -d /tmp/rse-package-XXXXXX)
root=$work/root
daemons=()
trap 'for one in "${daemons[@]}"; do kill -9 "$one" 2>/dev/null || true; done; rm -rf "$work"' EXIT

fail() { echo "FAILED: $*"; for log in "$work"/*.log; do [[ -e $log ]] && tail -n 20 "$log"; done; exit 1; }

# until_true SECONDS WORD...: runs the words until they succeed.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do ((SECONDS < end)) || return 1; read -rt 0.1 <> <(:) || true; done
}

# Becomes the command, as a user without rights.
as_nobody() {
  ((EUID != 0)) || exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs -- "$@"
  exec "$@"
}

dpkg_in_root() {
  dpkg --root="$root" --force-not-root --force-script-chrootless --force-depends --log=/dev/null "$@" \
    >"$work/dpkg.log" 2>&1 ||
    fail "dpkg $*"
}

check_contents() {
  local path wanted=(
    usr/bin/rse usr/bin/rse-node lib/systemd/system/rse-node.service usr/lib/sysusers.d/rse.conf
    usr/lib/tmpfiles.d/rse.conf etc/rse/rse.toml
    usr/share/bash-completion/completions/rse usr/share/bash-completion/completions/rse-node
    usr/share/man/man1/rse.1.gz usr/share/man/man8/rse-node.8.gz usr/share/doc/rse/copyright
  )
  for path in "${wanted[@]}"; do [[ -s $root/$path ]] || fail "$path is missing"; done
  grep -q '^rse:' "$root/etc/passwd" || fail 'the user rse was not made'
  zcat "$root/usr/share/man/man8/rse-node.8.gz" | grep -q -- '--data-dir\|data\\-dir' ||
    fail 'rse-node(8) does not explain --data-dir'
  if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog \
      "$package" || fail lintian
  fi
  if command -v systemd-analyze >/dev/null; then
    # It complains of /usr/bin/rse-node, which is not installed on this machine, and of nothing else.
    local unit=$root/lib/systemd/system/rse-node.service
    systemd-analyze verify --man=no "$unit" 2>&1 | grep 'rse-node.service:[0-9]' && fail 'systemd-analyze verify'
    # From 0, locked up, to 10, exposed; as tenths.
    systemd-analyze security --offline=true --threshold=25 "$unit" >"$work/security.log" ||
      fail 'systemd-analyze security'
  fi
  return 0
}

# completes PROGRAM BEGINNING WORD
completes() {
  local words completion=$root/usr/share/bash-completion/completions/rse
  words=$(PATH=$root/usr/bin:$PATH bash -c \
    "source $completion; COMP_WORDS=($1 $2); COMP_CWORD=1; _rse $1; echo \${COMPREPLY[*]}")
  [[ $words == "$3" ]] || fail "completion of \"$1 $2\" is \"$words\""
}

check_completion() {
  completes rse st status
  completes rse-node --data --data-dir
}

# A port of the loopback that nobody listens on now.
free_port() {
  local port
  for _ in {1..50}; do
    port=$((20000 + RANDOM % 12000))
    if ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
  return 1
}

# start NAME FLAG...: a daemon of the package, with the package's settings but for the paths, which are the test's.
start() {
  local name=$1
  shift
  as_nobody env -i "${environment[@]}" RSE_RUNTIME_DIR="$work/run" "$root/usr/bin/rse-node" \
    --config "$root/etc/rse/rse.toml" \
    --name "$name" --data-dir "$work/data/$name" --control "$work/run/$name.sock" "$@" >"$work/$name.log" 2>&1 &
  daemons+=($!)
  until_true 20 test -S "$work/run/$name.sock" || fail "$name does not answer"
}

ask() { "$root/usr/bin/rse" "$@" --control "$work/run/first.sock"; }
second_is_member() { [[ $(ask status 2>/dev/null) =~ second\ +member ]]; }  # its exit code says that two are not three

# Whether the page comes from that port.
serves() {
  local line
  { exec 5<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
  printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&5
  read -r line <&5 || line=
  exec 5>&-
  [[ $line == 'HTTP/1.1 200'* ]]
}

run_cluster() {
  local environment=(PATH=/usr/bin:/bin) ticket daemon
  mkdir -p "$work/data" "$work/run"
  ((EUID != 0)) || chown 65534:65534 "$work/data" "$work/run"
  local address=127.0.0.1:$(free_port)
  local dashboard
  dashboard=$(free_port)
  start first --found --listen "$address" --http "127.0.0.1:$dashboard"
  ticket=$(ask ticket create --ttl 5m --uses 1 2>/dev/null)
  environment+=(RSE_TICKET="$ticket")
  start second --peer "$address" --http "127.0.0.1:$(free_port)" --listen "127.0.0.1:$(free_port)"
  until_true 20 second_is_member || fail 'the second node did not join'
  until_true 20 serves "$dashboard" || fail 'the dashboard is not served'
  for daemon in "${daemons[@]}"; do
    kill -TERM "$daemon"
    wait "$daemon" || fail "a daemon's exit code after SIGTERM is $?"
  done
  daemons=()
}

chmod 755 "$work"
mkdir -p "$root"/var/lib/dpkg/{info,updates} "$root/etc"
touch "$root"/var/lib/dpkg/{status,available}
dpkg_in_root --install "$package"
check_contents
check_completion
run_cluster
dpkg_in_root --purge rse
left=$(find "$root" -path "$root/var/lib/dpkg" -prune -o \( -type f -o -type l \) -print |
  grep -vE '/etc/(\.pwd\.lock|passwd-?|group-?|shadow-?|gshadow-?)$' || true)
[[ -z $left ]] || fail "removed, but there is still: $left"
echo "the package holds what it should, runs, and goes without a trace"
