# shellcheck shell=bash disable=SC2154
# Policies: as plugins, but they import nothing. Sourced by build-guests.
#
# JavaScript policies see to it themselves (`componentize-qjs --stub-wasi`), and so do Rust policies without the standard library
# (policies/bare). For those that need it there is a linker that takes WASI out.

build_policies() {
  mkdir -p "$2"
  build_rust_policies "$1" "$2"
  build_javascript_guests "$1" "$2"
}

# build_rust_policies SOURCES OUT
build_rust_policies() {
  choose_rust_toolchain
  need_linker_without_wasi
  local manifest name
  for manifest in "$1"/*/Cargo.toml; do
    grep -q '"cdylib"' "$manifest" || continue
    name=$(basename "$(dirname "$manifest")")
    # Each by itself. Built together, all would get every feature that one of them asks of a crate, and `std` is a feature.
    CARGO_NET_RETRY=5 cargo build --quiet --release --locked --target "$RUST_TARGET" --manifest-path "$manifest" ||
      die "cargo failed in ${manifest#"$ROOT"/}. If it speaks of the lock file: cargo update --workspace --manifest-path ${1#"$ROOT"/}/Cargo.toml"
    publish "$CARGO_TARGET_DIR/$RUST_TARGET/release/${name//-/_}.wasm" "$2/$name.wasm"
  done
}

# Compiles without-wasi.rs, and tells build scripts of policies where it is. The name changes with what it is made of, so that cargo
# links again.
need_linker_without_wasi() {
  local host lld linker
  host=$(rustc -vV | sed -n 's/^host: //p')
  # The installed toolchain's, even where Debian's compiler is used: that one has no wasm linker.
  lld=$(env -u RUSTC rustc --print sysroot)/lib/rustlib/$host/bin/rust-lld
  [ -x "$lld" ] || die "no rust-lld in the Rust toolchain ($(rustc --version)). Install a stable toolchain: rustup toolchain install stable"
  linker=$WORK/without-wasi-$(digest "$(rustc -vV)" "$lld" -- "$TOOLCHAIN/without-wasi.rs" | cut -c1-12)
  if [ ! -x "$linker" ]; then
    RUST_LLD=$lld quietly "$WORK/without-wasi.log" \
      rustc --edition 2024 -O -o "$linker.partial" "$TOOLCHAIN/without-wasi.rs" || die "could not compile without-wasi.rs"
    mv -f "$linker.partial" "$linker"
  fi
  export GATEHOUSE_WITHOUT_WASI=$linker
}
