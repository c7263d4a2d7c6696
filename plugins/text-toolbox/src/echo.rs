//! The smallest tool.

use crate::tool::{Text, Tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Echo {
    /// What to say back.
    message: String,
}

impl Tool for Echo {
    const NAME: &str = "echo";
    const TITLE: &str = "Echo";
    const DESCRIPTION: &str = "Returns the message unchanged. Useful to see that the way to the gateway and back works.";

    type Output = Text;

    fn run(self) -> Result<Text, String> {
        Ok(Text(self.message))
    }
}
