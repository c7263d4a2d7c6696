//! One file a subject.

mod clients;
mod rust_sdk;
mod start;
