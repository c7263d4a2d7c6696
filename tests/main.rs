//! Proof at the edge: every test here starts the shipped binary and speaks with it over a socket, as its users do.
//!
//! `make test` builds what the tests need: `target/release/gatehouse`, the example plugins, the fixtures, the official clients. A
//! missing piece fails the test that needs it, with the command that makes it. The soak (`integration/soak.rs`) runs beside all others then, in a
//! process of its own; `make soak MINUTES=30` runs it alone, for longer.

mod cases;
mod clauses;
mod harness;
mod integration;
mod tidy;
