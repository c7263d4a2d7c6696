//! What `wit-bindgen` makes of everything that a component can offer, with the kit's types for what is shared.

wit_bindgen::generate!({
    path: "../../wit/tool",
    world: "full-plugin",
    with: {
        "gatehouse:tool/tool-types@0.1.0": kit::bindings::gatehouse::tool::tool_types,
        "gatehouse:host/progress@0.1.0": kit::bindings::gatehouse::host::progress,
        "gatehouse:host/log@0.1.0": kit::bindings::gatehouse::host::log,
        "gatehouse:host/lists@0.1.0": generate,
        "gatehouse:tool/tools@0.1.0": generate,
        "gatehouse:tool/resources@0.1.0": generate,
        "gatehouse:tool/prompts@0.1.0": generate,
        "gatehouse:tool/completion@0.1.0": generate,
    },
});

export!(Conformance with_types_in self);

use crate::Conformance;
pub use exports::gatehouse::tool::{completion, prompts, resources, tools};
pub use gatehouse::host::lists;
