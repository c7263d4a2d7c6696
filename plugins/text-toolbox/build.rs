//! Linker settings that keep a fresh instance cheap. A plugin works without this file; every call then costs a few microseconds more.

/// Room for static data (a third of it: the tables of the regex crate), the stack and a usual call's heap. wasi-libc's allocator hands out what is left of the initial memory before it
/// grows, and each growth is paid for twice: when it happens and when the host cleans up. A larger memory costs nothing until it is touched.
const INITIAL_MEMORY_BYTES: usize = 1024 * 1024;

/// The linker's default is 1 MiB. A quarter is plenty for these tools; an overflow traps and harms nobody.
const STACK_BYTES: usize = 256 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-cdylib=--initial-memory={INITIAL_MEMORY_BYTES}");
    println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
}
