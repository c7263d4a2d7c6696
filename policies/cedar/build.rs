//! Takes the standard library's imports out of the component. Cedar needs that library, and a policy may import nothing.
//!
//! `scripts/build-guests` names a linker that does so. Without it, as in a plain `cargo build`, the component imports WASI.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=GATEHOUSE_WITHOUT_WASI");
    if let Some(linker) = std::env::var_os("GATEHOUSE_WITHOUT_WASI") {
        println!("cargo::rustc-link-arg-cdylib=--wasm-ld-path={}", linker.display());
    }
}
