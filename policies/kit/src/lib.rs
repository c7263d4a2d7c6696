//! What the Rust policies share: the contract's common types, a reader for settings, patterns with `*`, and which URIs are too
//! unclear for them.

#![cfg_attr(target_family = "wasm", no_std)]

extern crate alloc;

pub mod fields;
pub mod pattern;
pub mod uri;

/// What `wit-bindgen` makes of the interface `policy-types`. Policies generate the rest themselves and take these types, so that code
/// and tests of all policies speak of the same ones.
#[expect(missing_docs, reason = "generated; the documentation is in wit/policy/policy.wit")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/policy",
        inline: "
            package gatehouse:kit;
            world types {
                import gatehouse:policy/policy-types@0.1.0;
            }
        ",
        world: "gatehouse:kit/types",
        generate_all,
    });
}

pub use bindings::gatehouse::policy::policy_types as types;
