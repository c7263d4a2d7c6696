//! Finds what is to be replaced in one text.
//!
//! Every search is linear in the text: what is looked for is recognised from its first, or from one telling, character, and none of it is
//! longer than a bound, or it is skipped as a whole.

mod card;
mod email;
mod iban;
mod keys;

use crate::settings::Settings;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// What this policy knows by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Email,
    PaymentCard,
    Iban,
    AwsKey,
    Jwt,
    PrivateKey,
}

/// The classes by their names.
pub(crate) const CLASSES: [(&str, Class); 6] = [
    ("email", Class::Email),
    ("payment-card", Class::PaymentCard),
    ("iban", Class::Iban),
    ("aws-key", Class::AwsKey),
    ("jwt", Class::Jwt),
    ("private-key", Class::PrivateKey),
];

impl Class {
    /// As it stands in the settings.
    pub(crate) fn name(self) -> &'static str {
        CLASSES.iter().find(|(_, class)| *class == self).map_or("", |(name, _)| name)
    }
}

/// A place in a text, in bytes, and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) name: String,
}

/// Where one search notes what it finds: start and end.
type Places = Vec<(usize, usize)>;

impl Settings {
    /// All that is to be replaced, in order, without overlaps. `member` is the name of the member that holds the text: some secrets are
    /// known by it alone.
    pub(crate) fn find(&self, text: &str, member: &str) -> Vec<Found> {
        let mut all: Vec<Found> = Vec::new();
        let mut note = |places: Places, name: &str| {
            let kept = |(start, end): &(usize, usize)| text.get(*start..*end).is_some_and(|found| self.keeps(found));
            let found = places.into_iter().filter(|place| !kept(place));
            all.extend(found.map(|(start, end)| Found { start, end, name: name.to_owned() }));
        };
        for class in &self.classes {
            let places = match class {
                Class::Email => email::find(text),
                Class::PaymentCard => card::find(text),
                Class::Iban => iban::find(text),
                Class::AwsKey => keys::find_aws(text, member),
                Class::Jwt => keys::find_jwt(text),
                Class::PrivateKey => keys::find_private(text),
            };
            note(places, class.name());
        }
        for own in &self.own {
            let places = own.regex.find_iter(text).filter(|found| !found.is_empty()).map(|found| (found.start(), found.end()));
            note(places.collect(), &own.name);
        }
        joined(all)
    }

    /// Whether a number, as it stands in JSON, is one that is to be replaced.
    pub(crate) fn find_in_number(&self, digits: &str) -> Option<&'static str> {
        let found = self.classes.contains(&Class::PaymentCard) && card::is_card(digits.as_bytes()) && !self.keeps(digits);
        found.then(|| Class::PaymentCard.name())
    }

    fn keeps(&self, found: &str) -> bool {
        self.keep.iter().any(|kept| kept.eq_ignore_ascii_case(found))
    }
}

/// Two that overlap become one: dropping the second would leave its end in the text.
fn joined(mut all: Vec<Found>) -> Vec<Found> {
    all.sort_by_key(|found| (found.start, usize::MAX - found.end));
    let mut joined: Vec<Found> = Vec::with_capacity(all.len());
    for found in all {
        match joined.last_mut() {
            Some(last) if found.start < last.end => last.end = last.end.max(found.end),
            _ => joined.push(found),
        }
    }
    joined
}

/// The byte at a place; 0 before the start and behind the end, which is part of nothing that is looked for.
fn byte(text: &str, at: Option<usize>) -> u8 {
    at.and_then(|at| text.as_bytes().get(at)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Settings, joined};
    use crate::find::Found;

    fn names(settings: &str, text: &str) -> Vec<String> {
        let found = Settings::read(settings).unwrap().find(text, "");
        found.into_iter().map(|found| format!("{}:{}", found.name, &text[found.start..found.end])).collect()
    }

    #[test]
    fn all_classes_in_one_text() {
        let text = "ada@example.com paid with 4111 1111 1111 1111 to DE89 3704 0044 0532 0130 00.";
        assert_eq!(names("{}", text), ["email:ada@example.com", "payment-card:4111 1111 1111 1111", "iban:DE89 3704 0044 0532 0130 00"]);
        assert_eq!(names(r#"{"classes": ["iban"]}"#, text), ["iban:DE89 3704 0044 0532 0130 00"]);
    }

    #[test]
    fn some_texts_are_kept() {
        let settings = r#"{"keep": ["Support@Example.com", "4111111111111111"]}"#;
        assert_eq!(names(settings, "support@example.com, ada@example.com, 4111111111111111"), ["email:ada@example.com"]);
    }

    #[test]
    fn own_expressions() {
        let settings = r#"{"classes": [], "patterns": [{"name": "staff", "regex": "(?i)emp-[0-9]+"}]}"#;
        assert_eq!(names(settings, "EMP-12, emp-3; emp-"), ["staff:EMP-12", "staff:emp-3"]);
    }

    #[test]
    fn overlaps_become_one() {
        let found = |start, end, name: &str| Found { start, end, name: name.into() };
        let all = vec![found(5, 15, "b"), found(0, 10, "a"), found(2, 3, "c"), found(15, 16, "d"), found(0, 4, "e")];
        assert_eq!(joined(all), [found(0, 15, "a"), found(15, 16, "d")]);
    }
}
