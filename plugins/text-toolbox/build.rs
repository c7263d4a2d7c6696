//! Linker settings that keep a fresh instance cheap. A plugin works without this file; every call then costs some microseconds more.

/// Beside static data (the tables of the regex crate, for the most part): room for a usual call. wasi-libc's allocator hands it out before it grows the memory, and each
/// growth is paid for twice: when it happens and when the host cleans up. But every page is cleaned after a call, used or not, so no more than that.
const HEAP_BYTES: usize = 192 * 1024;

/// The linker's default is 1 MiB, which is cleaned as well. An eighth is plenty for these tools; an overflow traps and harms nobody.
const STACK_BYTES: usize = 128 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-cdylib=--initial-heap={HEAP_BYTES}");
    println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
}
