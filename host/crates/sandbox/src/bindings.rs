//! The contract as Rust: generated from `wit/tool`, shut in here; the rest of the crate and the host use [`contract`].

#![expect(missing_docs, reason = "generated from wit/, where the documentation stands")]

wasmtime::component::bindgen!({
    path: "../../../wit/tool",
    world: "tool-plugin",
    imports: {
        "gatehouse:host/progress.report": async | trappable,
        "gatehouse:host/log.write": async | trappable,
    },
    exports: { default: async },
});

/// The shapes of `gatehouse:tool`, as generated from its WIT.
pub mod contract {
    pub use super::gatehouse::tool::tool_types::{
        Annotations, Ask, Blob, Body, Call, Caller, ClientFeatures, Content, Contents, Failure, Form, Icon, Link, Outcome, Page, Question,
        Reply, Resume, Text, Tool,
    };
}
