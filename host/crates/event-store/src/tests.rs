//! Proofs of the contract.
#![allow(clippy::print_stdout, reason = "figures, for whoever asks with --nocapture")]

mod buckets;
mod contract;
mod crash;
mod model;
mod survival;
