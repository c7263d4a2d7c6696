//! As little memory as decisions need, and all of it from the beginning: a fresh instance costs what its memory costs to clean, and growing it costs more.

/// Stack, static data, and what most decisions take.
const MEMORY_BYTES: usize = 4 * 64 * 1024;

/// An overflow traps.
const STACK_BYTES: usize = 64 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Only there does anybody know these.
    if std::env::var_os("CARGO_CFG_TARGET_FAMILY").is_some_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg-cdylib=--initial-memory={MEMORY_BYTES}");
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
