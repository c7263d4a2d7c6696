# shellcheck shell=bash disable=SC2154
# What the builders of all languages share. Sourced by build-guests, which sets ROOT, TOOLCHAIN and WORK.

say() { printf 'guests: %s\n' "$*" >&2; }
die() { printf 'guests: error: %s\n' "$*" >&2; exit 1; }

have() { command -v "$1" >/dev/null 2>&1; }

# Two runs at once (two terminals, `make -j`) would write the same node_modules. flock is missing on macOS; there the user takes care.
one_at_a_time() {
  have flock || return 0
  exec 9>"$WORK/.lock"
  flock -n 9 || { say "waiting for another build-guests"; flock 9; }
}

# retry TIMES COMMAND...: for what goes over a network.
retry() {
  local times=$1 attempt
  shift
  for ((attempt = 1; attempt < times; attempt++)); do
    "$@" && return 0
    say "failed, trying again ($((attempt + 1)) of $times): $1 ${2:-}"
    sleep "$((attempt * 2))"
  done
  "$@"
}

# quietly LOG COMMAND...: shows output only if the command fails, and of a long one both ends: some tools name the cause first, some last.
quietly() {
  local log=$1 status=0
  shift
  "$@" >"$log" 2>&1 || status=$?
  if [ "$status" != 0 ]; then
    if [ "$(wc -l <"$log")" -le 40 ]; then
      cat "$log" >&2
    else
      { head -n 15 "$log" && printf '  … the whole of it: %s …\n' "$log" && tail -n 15 "$log"; } >&2
    fi
  fi
  return "$status"
}

# macOS has no sha256sum; there, shasum.
if have sha256sum; then SHA256=(sha256sum); else SHA256=(shasum -a 256); fi

# digest WORD... -- PATH...: one hash over some words and over names and contents of the files below some paths. Folders that a
# build writes are left out: they are results, not inputs.
digest() {
  local words=()
  while [ "$1" != -- ]; do words+=("$1"); shift; done
  shift
  {
    printf '%s\n' ${words[@]+"${words[@]}"}
    find "$@" \( -name node_modules -o -name build -o -name target -o -name __pycache__ \) -prune -o -type f -print0 |
      LC_ALL=C sort -z | xargs -0 "${SHA256[@]}"
  } | "${SHA256[@]}" | cut -c1-64
}

# is_fresh NAME DIGEST OUTPUT: the last build of NAME had these inputs, and its result is still there.
is_fresh() { [ -e "$3" ] && [ "$(cat "$WORK/stamps/$1" 2>/dev/null)" = "$2" ]; }

# remember NAME DIGEST: after a build that went well.
remember() {
  mkdir -p "$WORK/stamps"
  printf '%s\n' "$2" >"$WORK/stamps/$1"
}

# publish BUILT OUTPUT: replaces OUTPUT in one step, so that nobody ever reads half a component, and leaves an equal one alone, so
# that a watching gateway does not reload it for nothing. The name in between does not end in .wasm and starts with a dot.
publish() {
  if cmp -s "$1" "$2"; then return 0; fi
  local partial
  partial=$(dirname "$2")/.$(basename "$2").partial
  cp "$1" "$partial"
  mv -f "$partial" "$2"
  say "wrote ${2#"$ROOT"/} ($(wc -c <"$2" | tr -d ' ') bytes)"
}

# published_to NAME OUT: where a guest goes. Those for the official conformance suite lie apart: nobody wants to be served them by `make run`.
published_to() {
  case $1 in
    conformance-*) mkdir -p "$ROOT/target/conformance" && printf '%s\n' "$ROOT/target/conformance" ;;
    *) printf '%s\n' "$2" ;;
  esac
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# need_packages WHY PACKAGE...: Debian packages, installed if they are missing and we may.
need_packages() {
  local why=$1 package missing=()
  shift
  have dpkg-query || die "$why needs the Debian packages $*, and this is not a Debian system"
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0

  local by_hand="apt-get update && apt-get install --no-install-recommends ${missing[*]}"
  if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    die "$why needs Debian packages that are not installed. As root, run:
    $by_hand"
  fi

  say "installing ${missing[*]} ($why)"
  # Lists that were never fetched do not know the package; lists that are too old name versions that the mirror no longer has. The
  # first is seen beforehand, the second only in a failed install: hence an update before each further attempt.
  local attempt fetch_lists=no log=$WORK/apt.log
  apt-cache show "${missing[@]}" >/dev/null 2>&1 || fetch_lists=yes
  for attempt in 1 2 3; do
    if [ "$fetch_lists" = yes ]; then quietly "$log" as_root apt-get -o DPkg::Lock::Timeout=120 update || true; fi
    # --no-remove: rather fail than take away a package (Debian's own rustc, say) that the user chose.
    if quietly "$log" as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 \
      install -y -qq --no-install-recommends --no-remove "${missing[@]}"; then
      return 0
    fi
    fetch_lists=yes
    sleep "$attempt"
  done
  die "could not install ${missing[*]} (log: $log). Try by hand, as root:
    $by_hand"
}
