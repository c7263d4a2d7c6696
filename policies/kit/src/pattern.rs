//! Patterns for names: `*` stands for any characters or none, and everything else for itself.

use alloc::borrow::ToOwned;
use alloc::string::String;

/// A pattern may have this many bytes.
pub const PATTERN_BYTES_MAX: usize = 1024;

/// A pattern that was checked.
///
/// Capitals count, and `/` is a character like others. A name is only looked at: a `*` in a *name* means nothing. There is no way to
/// write a `*` that stands for itself; a pattern with one fits the name that holds it, and others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Checks a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as the end of a sentence.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty and would fit nothing; `*` fits everything");
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err("is longer than 1,024 bytes");
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("holds a space or a control character, which no name has");
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether the whole name is as the pattern says. Time grows with both lengths together and not with their product: each piece is
    /// taken where it first appears, which leaves the most for those after it.
    pub fn fits(&self, name: &str) -> bool {
        let mut pieces = self.0.split('*');
        let Some(rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        let Some(mut rest) = rest.strip_suffix(last) else { return false };
        for piece in pieces {
            let Some((_, after)) = rest.split_once(piece) else { return false };
            rest = after;
        }
        true
    }
}

/// Whether one of them fits.
pub fn any_fits(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(name))
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[track_caller]
    fn check(pattern: &str, fitting: &[&str], others: &[&str]) {
        let pattern = Pattern::new(pattern).unwrap();
        for name in fitting {
            assert!(pattern.fits(name), "{pattern:?} should fit {name:?}");
        }
        for name in others {
            assert!(!pattern.fits(name), "{pattern:?} should not fit {name:?}");
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        check("*", &["", "a", "crm://x/y", "*"], &[]);
        check("crm_*", &["crm_", "crm_get"], &["crm", "acrm_get", "CRM_get"]);
        check("*_get", &["_get", "crm_get"], &["get", "crm_get_"]);
        check("crm_*_get", &["crm__get", "crm_a_b_get"], &["crm_get"]);
        check("a*b*c", &["abc", "aXbYc", "abbbc", "abcbc"], &["ac", "acb", "abcd"]);
        check("**", &["", "a"], &[]);
        check("a**b", &["ab", "axb"], &["a", "b"]);
    }

    #[test]
    fn without_a_star_it_is_the_name() {
        check("echo", &["echo"], &["", "ech", "echoo", "Echo", "ECHO"]);
    }

    #[test]
    fn prefix_and_suffix_do_not_share_characters() {
        check("aba*ba", &["ababa", "abaxba"], &["aba", "abba"]);
        check("aa*aa", &["aaaa", "aaxaa"], &["aaa", "aa"]);
    }

    #[test]
    fn other_signs_mean_themselves() {
        check("a.c?[x]{1}", &["a.c?[x]{1}"], &["abc?[x]{1}", "a.cx[x]{1}"]);
        check("\\*", &["\\", "\\x"], &["*"]);
        check("crm://customers/*", &["crm://customers/", "crm://customers/7/notes"], &["crm://customers", "crm:///customers/7"]);
        check("größe*", &["größe", "größe_xl"], &["grosse"]);
    }

    #[test]
    fn a_star_in_a_name_is_a_character() {
        check("admin_a", &[], &["admin_*", "*"]);
        check("admin_*", &["admin_*"], &["*"]);
    }

    #[test]
    fn long_names_and_many_stars_take_no_time() {
        let name = "a".repeat(1 << 20);
        let pattern = Pattern::new(&"a*".repeat(500)).unwrap();
        assert!(pattern.fits(&name));
        let pattern = Pattern::new(&format!("{}b", "a*".repeat(500))).unwrap();
        assert!(!pattern.fits(&name));
    }

    #[test]
    fn what_fits_nothing_is_refused() {
        for (text, complaint) in [("", "empty"), ("a b", "space"), ("a\u{0}", "control"), ("a\n", "control")] {
            assert!(Pattern::new(text).unwrap_err().contains(complaint), "{text:?}");
        }
        assert!(Pattern::new(&"x".repeat(1025)).unwrap_err().contains("1,024"));
        assert!(Pattern::new(&"x".repeat(1024)).is_ok());
    }
}
