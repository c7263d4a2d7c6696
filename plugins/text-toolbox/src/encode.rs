//! Text that survives narrow channels.

use crate::tool::{Text, Tool};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Base64 {
    /// What to encode, or what to decode.
    text: String,
    /// Which way to go.
    direction: Direction,
    /// Use the alphabet for URLs and file names, without padding.
    #[serde(default)]
    url_safe: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Encode,
    Decode,
}

impl Tool for Base64 {
    const NAME: &str = "base64";
    const TITLE: &str = "Base64";
    const DESCRIPTION: &str = "Encodes a text in Base64 (RFC 4648), or decodes one.";

    type Output = Text;

    fn run(self) -> Result<Text, String> {
        let engine = if self.url_safe { URL_SAFE_NO_PAD } else { STANDARD };
        match self.direction {
            Direction::Encode => Ok(Text(engine.encode(self.text))),
            Direction::Decode => {
                let bytes = engine.decode(self.text.trim()).map_err(|error| format!("This is not Base64: {error}"))?;
                let text = String::from_utf8(bytes).map_err(|error| format!("What it decodes to is not text: {error}"))?;
                Ok(Text(text))
            }
        }
    }
}
