//! Where the pieces lie that `make` builds.

use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// The shipped binary.
pub fn binary() -> PathBuf {
    // Beside the profile's folder that this test binary lies in: `target/debug/deps/edge-…` → `target/release/gatehouse`.
    let own = std::env::current_exe().expect("a test binary has a path");
    let target = own.ancestors().nth(3).expect("target/PROFILE/deps/NAME").to_owned();
    existing(target.join("release/gatehouse"), "make build")
}

/// An example plugin.
pub fn plugin(name: &str) -> PathBuf {
    existing(root().join(format!("target/plugins/{name}.wasm")), "make plugins")
}

/// A shipped policy.
pub fn policy(name: &str) -> PathBuf {
    existing(root().join(format!("target/policies/{name}.wasm")), "make policies")
}

/// A component that exists for tests only; those for the official suite lie among the plugins' sources.
pub fn fixture(name: &str) -> PathBuf {
    if name.starts_with("conformance-") {
        return existing(root().join(format!("target/conformance/{name}.wasm")), "make plugins");
    }
    existing(root().join(format!("target/fixtures/{name}.wasm")), "make fixtures")
}

fn existing(path: PathBuf, made_by: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing; `{made_by}` makes it", path.display());
    path
}
