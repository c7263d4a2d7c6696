//! One file a subject.

mod batch;
mod clients;
mod code_cache;
mod command;
mod command_line;
mod conformance;
mod content;
mod definitions;
mod dialogs;
mod directory;
mod front;
mod guests;
mod http2;
mod journal;
mod ladder;
mod legacy;
mod messages;
mod modern;
mod restart;
mod rust_sdk;
mod sessions;
mod soak;
mod start;
mod store;
mod streams;
mod tasks;
