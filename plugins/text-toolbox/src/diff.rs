//! Comparing texts.

use crate::tool::{Text, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use similar::TextDiff;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnifiedDiff {
    /// The old text.
    before: String,
    /// The new text.
    after: String,
    /// How many unchanged lines to show around each change.
    #[serde(default = "usual_context")]
    #[schemars(range(max = 1000))]
    context_lines: u32,
}

fn usual_context() -> u32 {
    3
}

impl Tool for UnifiedDiff {
    const NAME: &str = "unified_diff";
    const TITLE: &str = "Unified diff";
    const DESCRIPTION: &str = "Compares two texts line by line and returns the differences in the unified format of diff and git. Returns an \
        empty text if there are none.";

    type Output = Text;

    fn run(self) -> Result<Text, String> {
        let diff = TextDiff::from_lines(&self.before, &self.after);
        let context = self.context_lines as usize;
        Ok(Text(diff.unified_diff().context_radius(context).header("before", "after").to_string()))
    }
}
