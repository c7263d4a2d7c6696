use super::{JsonText, json_line, line, position, push_number, push_string};
use crate::json::{JsonErrorKind, JsonLimits};
use proptest::prelude::*;

/// J21.
#[test]
fn names_are_cut_and_escaped() {
    assert_eq!(line("echo", 128), "echo");
    assert_eq!(line("a\nb\u{1b}[31m\u{2028}", 128), "a\\u{a}b\\u{1b}[31m\\u{2028}");
    assert_eq!(line(&"é".repeat(128), 128), "é".repeat(128));
    assert_eq!(line(&"é".repeat(129), 128), format!("{}…", "é".repeat(128)));
    assert_eq!(line("abc", 0), "…");
    assert_eq!(line("", 0), "");
}

#[test]
fn json_on_one_line() {
    assert_eq!(json_line("{\"a\":1}"), "{\"a\":1}");
    assert_eq!(json_line("{\r\n\t\"a\": \"\u{2028}\u{2029}\u{85}\u{7f}é\"}"), "{   \"a\": \"\\u2028\\u2029\\u0085\\u007fé\"}");
}

#[test]
fn texts_are_checked() {
    let limits = JsonLimits::default();
    assert!(JsonText::parse(" {}", &limits).unwrap().is_object());
    assert!(!JsonText::parse("[{}]", &limits).unwrap().is_object());
    let error = JsonText::parse("{\"a\":1,\"a\":2}", &limits).unwrap_err();
    assert_eq!(error.kind, JsonErrorKind::DuplicateKey);
    assert_eq!(JsonText::string("a\"").as_str(), r#""a\"""#);
}

proptest! {
    #[test]
    fn strings_survive(text in any::<String>()) {
        let mut out = String::new();
        push_string(&mut out, &text);
        prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        prop_assert_eq!(json_line(&out), out.as_str());
    }

    #[test]
    fn numbers_survive(number in any::<f64>()) {
        let mut out = String::new();
        push_number(&mut out, number);
        if number.is_finite() {
            prop_assert_eq!(out.parse::<f64>().unwrap().to_bits(), number.to_bits());
            prop_assert!(JsonText::parse(out, &JsonLimits::default()).is_ok());
        } else {
            prop_assert_eq!(out, "null");
        }
    }

    #[test]
    fn one_line_says_the_same(value in "[ -~\u{80}-\u{2030}\n\t]{0,30}") {
        let pretty = serde_json::to_string_pretty(&serde_json::json!({"k": [value]})).unwrap();
        let line = json_line(&pretty);
        prop_assert!(!line.contains(|char: char| char.is_control()));
        prop_assert_eq!(
            serde_json::from_str::<serde_json::Value>(&line).unwrap(),
            serde_json::from_str::<serde_json::Value>(&pretty).unwrap()
        );
    }

    #[test]
    fn lines_are_short(text in any::<String>(), max in 0_usize..20) {
        let line = line(&text, max);
        prop_assert!(!line.contains(|char: char| char.is_control()));
        // The longest escape is `\u{10ffff}`.
        prop_assert!(line.chars().count() <= max * 10 + 1);
    }
}

#[test]
fn the_first_byte_is_found_wherever_it_is() {
    for length in [0, 1, 63, 64, 65, 128, 200] {
        assert_eq!(position(&vec![b'a'; length], |byte| byte == b'x'), None);
        for at in 0..length {
            let mut bytes = vec![b'a'; length];
            bytes[at..].fill(b'x');
            assert_eq!(position(&bytes, |byte| byte == b'x'), Some(at), "{length}");
        }
    }
}
