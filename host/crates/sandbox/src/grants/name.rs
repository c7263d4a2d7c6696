//! What side files and settings call the texts and directories that a run is given. Both are read by the same rules, so that one name is one thing.

use serde::Deserialize;
use std::fmt;

/// Characters of a name.
const NAME_MAX: usize = 128;

/// A kind of name: its type, what it is, and how it is read.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $is_one:path, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Reads it.
            ///
            /// # Errors
            ///
            /// With what would be right.
            pub fn parse(text: &str) -> Result<Self, String> {
                match (1..=NAME_MAX).contains(&text.len()) && $is_one(text) {
                    true => Ok(Self(text.into())),
                    false => Err($expected.to_owned()),
                }
            }

            /// As it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The key of a setting that a guest reads by `wasi:config/store`, such as `api.region`.
    SettingName,
    is_setting,
    "a setting's name has 1 to 128 of A-Z a-z 0-9 _ . - /"
);
name!(
    /// The name of an environment variable.
    VariableName,
    is_variable,
    "the name of an environment variable has 1 to 128 of A-Z a-z 0-9 _, and no digit first"
);
name!(
    /// Where a guest finds a directory: a whole path of plain parts, such as `/data`.
    GuestPath,
    is_guest_path,
    "a plugin's path begins with `/`, such as \"/data\", and has at most 128 of A-Z a-z 0-9 _ . - between its `/`, without `.` and `..`"
);

name!(
    /// The name of a bucket that a guest keeps values in by `wasi:keyvalue`, such as `notes`.
    BucketName,
    is_setting,
    "a bucket's name has 1 to 128 of A-Z a-z 0-9 _ . - /"
);

fn is_word(text: &str, more: &[u8]) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

fn is_setting(text: &str) -> bool {
    is_word(text, b"_.-/")
}

fn is_variable(text: &str) -> bool {
    is_word(text, b"_") && !text.starts_with(|first: char| first.is_ascii_digit())
}

fn is_guest_path(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && is_word(part, b"_.-");
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_strictly() {
        let long = "x".repeat(NAME_MAX + 1);
        for right in ["a", "api.region", "A-1/b_c", &long[1..]] {
            assert!(SettingName::parse(right).is_ok_and(|name| name.as_str() == right), "{right}");
        }
        for wrong in ["", "a b", "ä", "a\0", &long] {
            assert!(SettingName::parse(wrong).is_err(), "{wrong}");
        }
        for (text, is_one) in [("A", true), ("_a1", true), ("1A", false), ("A-B", false), ("A=B", false), ("", false), ("A\0", false)] {
            assert_eq!(VariableName::parse(text).is_ok(), is_one, "{text}");
        }
        for (text, is_one) in [
            ("/data", true),
            ("/var/lib.d/x-1", true),
            ("/", false),
            ("data", false),
            ("/data/", false),
            ("//data", false),
            ("/data/../x", false),
            ("/./x", false),
            ("/a b", false),
        ] {
            assert_eq!(GuestPath::parse(text).is_ok(), is_one, "{text}");
        }
    }
}
