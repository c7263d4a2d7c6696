# shellcheck shell=bash disable=SC2034,SC2154
# A sysroot for wasm32-wasip2 from Debian packages. Sourced by build-guests, for rust.sh.
#
#   rustc-web      the compiler (/usr/bin/rustc)
#   rust-web-src   the sources of its standard library, built here once for wasm
#   wasi-libc      libc.a and start files
#
# The libc dates from 2022 and speaks preview 1. That is enough: the standard library takes randomness and arguments from WASI 0.2 by
# itself, and the linker, wasm-component-ld, sees the remaining preview 1 imports and adds its built-in adapter. So the result is
# a WASI 0.2 component like any other. What newer standard libraries ask for and this libc lacks is in wasi-gaps.rs.
#
# Why a sysroot and not `cargo -Zbuild-std` for every guest: guests then build with a plain cargo command, on the stable channel, and
# the standard library is compiled once for a machine and not once for a target folder.

DEBIAN_RUSTC=/usr/bin/rustc
DEBIAN_LIBC=/usr/lib/wasm32-wasi
# Set by need_debian_sysroot.
DEBIAN_SYSROOT=''
DEBIAN_GAPS=''

need_debian_sysroot() {
  need_packages "building Rust guests without rustup's $RUST_TARGET" rustc-web rust-web-src wasi-libc

  local host tools
  host=$("$DEBIAN_RUSTC" -vV | sed -n 's/^host: //p')
  # Debian has neither wasm-component-ld nor rust-lld; every toolchain that rustup installs has both.
  tools=$(rustc --print sysroot)/lib/rustlib/$host/bin
  [ -x "$tools/wasm-component-ld" ] ||
    die "no wasm-component-ld in the Rust toolchain ($(rustc --version)). Install a stable toolchain: rustup toolchain install stable"

  # Everything that the result depends on is in its name. A new compiler makes a new sysroot and leaves the old one to those who
  # still use it.
  local version key cache
  version=$("$DEBIAN_RUSTC" --version | cut -d' ' -f2)
  key=$(digest "$("$DEBIAN_RUSTC" -vV)" "$tools" "$(dpkg-query -W -f='${Version}' wasi-libc rust-web-src)" -- \
    "$TOOLCHAIN/debian-sysroot.sh" "$TOOLCHAIN/wasi-gaps.rs" | cut -c1-12)
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/gatehouse
  DEBIAN_SYSROOT=$cache/guest-sysroot-$version-$key
  DEBIAN_GAPS=$DEBIAN_SYSROOT/lib/rustlib/$RUST_TARGET/lib/self-contained/wasi-gaps.o
  [ ! -d "$DEBIAN_SYSROOT" ] || return 0

  say "building the standard library of Rust $version for $RUST_TARGET: once, about a minute and a half"
  mkdir -p "$cache"
  local building
  building=$(mktemp -d "$cache/building-XXXXXX")
  # Built aside and renamed when complete: a run that was stopped half-way leaves nothing that looks finished.
  if ! quietly "$WORK/sysroot.log" build_sysroot "$building" "$host" "$tools"; then
    rm -rf "$building"
    die "could not build the standard library (log: $WORK/sysroot.log)"
  fi
  # Another checkout may have been faster; its result is the same.
  mv -T "$building" "$DEBIAN_SYSROOT" 2>/dev/null || rm -rf "$building"
}

# build_sysroot OUT HOST TOOLS. Runs with its steps chained, as `set -e` does not hold inside a condition.
build_sysroot() {
  local out=$1 host=$2 tools=$3
  local libs=$out/lib/rustlib/$RUST_TARGET/lib scratch=$out/scratch

  # The host's half of the sysroot is borrowed: linker tools from the Rust toolchain, libraries for proc macros from Debian.
  mkdir -p "$out/lib/rustlib/$host" "$libs/self-contained" "$scratch/src" &&
    ln -s "$tools" "$out/lib/rustlib/$host/bin" &&
    ln -s "/usr/lib/rustlib/$host/lib" "$out/lib/rustlib/$host/lib" || return

  # An empty crate, for the sake of what it depends on.
  : >"$scratch/src/lib.rs"
  cat >"$scratch/Cargo.toml" <<'TOML' || return
[package]
name = "only-for-its-std"
edition = "2024"

[workspace]

[profile.release]
panic = "abort"
TOML

  # RUSTC_BOOTSTRAP allows -Zbuild-std on a stable compiler, for this one command. Bitcode: guests are linked with LTO.
  (
    cd "$scratch" &&
      RUSTC=$DEBIAN_RUSTC RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Cembed-bitcode=yes' CARGO_TARGET_DIR=$scratch/target CARGO_NET_RETRY=5 \
        retry 2 cargo build --release -Zbuild-std=std,panic_abort --target "$RUST_TARGET"
  ) || return

  rm -f "$scratch/target/$RUST_TARGET"/release/deps/libonly_for_its_std*
  cp "$scratch/target/$RUST_TARGET"/release/deps/*.rlib "$libs/" &&
    cp "$DEBIAN_LIBC/libc.a" "$DEBIAN_LIBC/crt1-command.o" "$DEBIAN_LIBC/crt1-reactor.o" "$libs/self-contained/" || return

  "$DEBIAN_RUSTC" --edition 2024 --sysroot "$out" --target "$RUST_TARGET" --crate-type lib --emit obj -Copt-level=s -Cpanic=abort \
    "$TOOLCHAIN/wasi-gaps.rs" -o "$libs/self-contained/wasi-gaps.o" || return

  rm -rf "$scratch"
}
