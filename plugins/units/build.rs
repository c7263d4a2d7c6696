//! Components carry their types and not the comments on them. This puts the comments beside, in the format that tools of the component model
//! read: clients then see them as descriptions. A component works without. And settings of the linker, as in text-toolbox, where they are explained.

use std::path::Path;
use wit_parser::{PackageMetadata, Resolve};

fn main() {
    println!("cargo::rerun-if-changed=wit");
    println!("cargo::rustc-link-arg-cdylib=--initial-heap={}", 64 * 1024);
    println!("cargo::rustc-link-arg-cdylib=-zstack-size={}", 128 * 1024);
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir("wit").expect("the WIT is read");
    let docs = PackageMetadata::extract(&resolve, package).encode().expect("its comments are written");
    let folder = std::env::var_os("OUT_DIR").expect("cargo names one");
    std::fs::write(Path::new(&folder).join("package-docs"), docs).expect("they are kept");
}
