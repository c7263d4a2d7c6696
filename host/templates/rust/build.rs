//! Linker settings that keep a fresh instance cheap. A plugin works without this file; every call then takes a few microseconds more.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Room for static data, the stack and a usual call's heap, so that memory need not grow. More costs nothing until it is touched.
    println!("cargo::rustc-link-arg-cdylib=--initial-memory={}", 1024 * 1024);
    // The linker's default is 1 MiB. An overflow traps and harms nobody.
    println!("cargo::rustc-link-arg-cdylib=-zstack-size={}", 256 * 1024);
}
