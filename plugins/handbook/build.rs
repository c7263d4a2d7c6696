//! Linker settings that keep a fresh instance cheap, as in text-toolbox, where they are explained.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-cdylib=--initial-heap={}", 64 * 1024);
    println!("cargo::rustc-link-arg-cdylib=-zstack-size={}", 128 * 1024);
}
