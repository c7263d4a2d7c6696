# shellcheck shell=bash disable=SC2154
# Rust guests. Sourced by build-guests.
#
# Two ways to a compiler with a standard library for wasm32-wasip2:
#
#   rustup   the target is installed, or rustup can add it: `rustup target add wasm32-wasip2`.
#   debian   for machines that cannot reach rustup's server: Debian's compiler and its sources, from which the standard library is
#            built once and kept (debian-sysroot.sh). Cargo and the linker still come from the installed Rust toolchain.
#
# Both give WASI 0.2 components from the same sources with the same cargo command.

RUST_TARGET=wasm32-wasip2
# Set by choose_rust_toolchain.
RUST_PATH=''

# Asks the compiler and not rustup: a distribution's Rust may have the target without rustup.
target_is_installed() { [ -d "$(rustc --print target-libdir --target "$RUST_TARGET" 2>/dev/null)" ]; }

# Tries once. A machine without access to rustup's server would otherwise wait for it on every build, so a refusal is remembered;
# `rustup target add` by hand, or removing target/, makes it count no more.
add_target_once() {
  local refused=$WORK/rustup-refused why
  have rustup || return 1
  [ ! -e "$refused" ] || return 1
  say "target $RUST_TARGET is not installed: trying 'rustup target add' (at most 60 s)"
  if why=$(timeout 60 rustup target add "$RUST_TARGET" 2>&1); then return 0; fi
  printf '%s\n' "$why" >"$refused"
  return 1
}

choose_rust_toolchain() {
  [ -z "$RUST_PATH" ] || return 0
  have cargo || die "no cargo found. Install Rust from https://rustup.rs"
  # Flags that the caller means for the host would replace the ones that guests need.
  unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_BUILD_TARGET RUSTC CARGO_BUILD_RUSTC

  local why
  case ${GATEHOUSE_GUEST_TOOLCHAIN:-} in
    rustup)
      RUST_PATH=rustup why='forced by GATEHOUSE_GUEST_TOOLCHAIN'
      target_is_installed || retry 2 timeout 60 rustup target add "$RUST_TARGET" >&2 ||
        die "rustup could not add $RUST_TARGET. Where its server cannot be reached, use GATEHOUSE_GUEST_TOOLCHAIN=debian"
      ;;
    debian)
      RUST_PATH=debian why='forced by GATEHOUSE_GUEST_TOOLCHAIN'
      ;;
    '')
      if target_is_installed; then
        RUST_PATH=rustup why='target installed'
      elif add_target_once; then
        RUST_PATH=rustup why='target added'
      else
        RUST_PATH=debian why="target $RUST_TARGET is not installed and rustup could not add it"
      fi
      ;;
    *) die "GATEHOUSE_GUEST_TOOLCHAIN is '$GATEHOUSE_GUEST_TOOLCHAIN'; it can be 'rustup' or 'debian'" ;;
  esac

  # Panic messages hold source paths. Without these flags they would hold the builder's home folder, and two machines would get
  # different bytes from the same sources.
  local flags="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$ROOT=/gatehouse"
  if [ "$RUST_PATH" = debian ]; then
    need_debian_sysroot
    export RUSTC=$DEBIAN_RUSTC
    flags="$flags --sysroot=$DEBIAN_SYSROOT -Clink-arg=$DEBIAN_GAPS"
  fi
  export CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS=$flags
  # One folder for each compiler, so that a change of path does not rebuild the other's work; shared by all guest workspaces, so that
  # a dependency of both is built once.
  export CARGO_TARGET_DIR=$WORK/$RUST_PATH
  say "Rust guests with $("${RUSTC:-rustc}" --version | cut -d' ' -f1-2), path $RUST_PATH: $why"
}

# cargo_build SOURCES ARGUMENT...: cargo fetches within the build; its own retries are for single requests.
cargo_build() {
  CARGO_NET_RETRY=5 cargo build --quiet --release --locked --target "$RUST_TARGET" --manifest-path "$1/Cargo.toml" "${@:2}" ||
    die "cargo failed in ${1#"$ROOT"/}. If it speaks of the lock file: cargo update --workspace --manifest-path ${1#"$ROOT"/}/Cargo.toml"
}

# build_rust_guests SOURCES OUT: SOURCES is a cargo workspace; each member that is a cdylib becomes a component.
build_rust_guests() {
  [ -e "$1/Cargo.toml" ] || return 0
  choose_rust_toolchain
  local manifest name together=(--workspace) alone=()
  # Without the standard library, each by itself. Built together, all would get every feature that one of them asks of a crate, and `std` is a
  # feature.
  for manifest in "$1"/*/Cargo.toml; do
    name=$(basename "$(dirname "$manifest")")
    if grep -qsx '#!\[no_std\]' "$1/$name/src/lib.rs"; then together+=(--exclude "$name") alone+=("$name"); fi
  done
  cargo_build "$1" "${together[@]}"
  for name in ${alone[@]+"${alone[@]}"}; do cargo_build "$1" -p "$name"; done
  for manifest in "$1"/*/Cargo.toml; do
    grep -q '"cdylib"' "$manifest" || continue
    name=$(basename "$(dirname "$manifest")")
    publish "$CARGO_TARGET_DIR/$RUST_TARGET/release/${name//-/_}.wasm" "$(published_to "$name" "$2")/$name.wasm"
  done
}

# For an author who wants to run cargo in a plugin's folder.
print_rust_environment() {
  choose_rust_toolchain
  local name
  for name in RUSTC CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS; do
    [ -z "${!name:-}" ] || printf 'export %s=%q\n' "$name" "${!name}"
  done
}
