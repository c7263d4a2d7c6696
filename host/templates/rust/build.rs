//! Linker settings that keep a fresh instance cheap. A plugin works without this file; every call then takes some microseconds more.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Room for a usual call's heap, so that memory need not grow. What there is of memory is cleaned after each call, used or not.
    println!("cargo::rustc-link-arg-cdylib=--initial-heap={}", 192 * 1024);
    // The linker's default is 1 MiB, which would be cleaned as well. An overflow traps and harms nobody.
    println!("cargo::rustc-link-arg-cdylib=-zstack-size={}", 128 * 1024);
}
