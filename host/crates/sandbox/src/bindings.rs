//! The contract as Rust: generated from `wit/tool`, shut in here; the rest of the crate and the host use [`contract`].

#![expect(missing_docs, reason = "generated from wit/, where the documentation stands")]

wasmtime::component::bindgen!({
    path: "../../../wit/tool",
    // Everything that a component can export; which of it one has is looked up, interface by interface.
    world: "full-plugin",
    imports: {
        "gatehouse:host/progress.report": async | trappable,
        "gatehouse:host/log.write": async | trappable,
        "gatehouse:host/lists.changed": async | trappable,
        "gatehouse:host/lists.resource-updated": async | trappable,
    },
    exports: { default: async },
});

/// `gatehouse:host/http`, which is in no world of the contract's own: whoever imports it asks for something.
pub(crate) mod fetching {
    wasmtime::component::bindgen!({
        path: "../../../wit/host",
        inline: "
            package gatehouse:fetching;
            world fetching {
                import gatehouse:host/http@0.1.0;
            }
        ",
        world: "gatehouse:fetching/fetching",
        imports: { default: async | trappable },
    });
}

/// `wasi:keyvalue`, of which the same holds.
pub(crate) mod keeping {
    wasmtime::component::bindgen!({
        path: "../../../wit/keyvalue",
        inline: "
            package gatehouse:keeping;
            world keeping {
                import wasi:keyvalue/store@0.2.0-draft;
                import wasi:keyvalue/atomics@0.2.0-draft;
                import wasi:keyvalue/batch@0.2.0-draft;
            }
        ",
        world: "gatehouse:keeping/keeping",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": crate::keyvalue::Opened },
    });
}

/// The same of `gatehouse:policy`.
pub(crate) mod policies {
    wasmtime::component::bindgen!({
        path: "../../../wit/policy",
        inline: "
            package gatehouse:bindings;
            world policies {
                export gatehouse:policy/settings@0.1.0;
                export gatehouse:policy/authenticator@0.1.0;
                export gatehouse:policy/authorizer@0.1.0;
                export gatehouse:policy/call-filter@0.1.0;
            }
        ",
        world: "gatehouse:bindings/policies",
        exports: { default: async },
    });
}

/// The shapes of `gatehouse:tool`, as generated from its WIT.
pub mod contract {
    pub use super::exports::gatehouse::tool::completion::{Query, Subject, Suggestions};
    pub use super::exports::gatehouse::tool::prompts::{Argument, Get, GetOutcome, Message, Messages, Prompt, Role};
    pub use super::exports::gatehouse::tool::resources::{Descriptor, Read, ReadOutcome, Reading, Template};
    pub use super::gatehouse::tool::tool_types::{
        Annotations, Ask, Blob, Body, Call, Caller, ClientFeatures, Content, Contents, Failure, Form, Icon, Link, Outcome, Page, Question,
        Reply, Resume, Text, Tool,
    };
}
