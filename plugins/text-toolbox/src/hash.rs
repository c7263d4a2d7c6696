//! Digests.

use crate::tool::{Structured, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha384, Sha512};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hash {
    /// The text; its UTF-8 bytes are hashed.
    text: String,
    /// The hash function.
    algorithm: Algorithm,
}

#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
    Blake3,
}

#[derive(Serialize, JsonSchema)]
pub struct Digested {
    algorithm: Algorithm,
    /// The digest in lower-case hexadecimal digits.
    hex: String,
}

impl Tool for Hash {
    const NAME: &str = "hash";
    const TITLE: &str = "Hash";
    const DESCRIPTION: &str = "Computes a cryptographic digest of a text.";

    type Output = Structured<Digested>;

    fn run(self) -> Result<Structured<Digested>, String> {
        let bytes = self.text.as_bytes();
        let hex = match self.algorithm {
            Algorithm::Sha256 => hex(&Sha256::digest(bytes)),
            Algorithm::Sha384 => hex(&Sha384::digest(bytes)),
            Algorithm::Sha512 => hex(&Sha512::digest(bytes)),
            Algorithm::Blake3 => hex(blake3::hash(bytes).as_bytes()),
        };
        Ok(Structured(Digested { algorithm: self.algorithm, hex }))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
