use super::{JsonErrorKind as Kind, JsonLimits, check};
use proptest::prelude::*;
use std::fmt::Write as _;

fn verdict(text: impl AsRef<[u8]>) -> Option<Kind> {
    check(text.as_ref(), &JsonLimits::default()).err().map(|error| error.kind)
}

#[track_caller]
fn accepts(text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    assert_eq!(verdict(text), None, "{}", String::from_utf8_lossy(text));
    serde_json::from_slice::<serde_json::Value>(text).expect("serde_json accepts it too");
}

#[track_caller]
fn refuses(text: impl AsRef<[u8]>, kind: Kind) {
    let text = text.as_ref();
    assert_eq!(verdict(text), Some(kind), "{}", String::from_utf8_lossy(text));
}

#[test]
fn plain_values() {
    for text in [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1.5",
        "1e3",
        "1E+3",
        "1.0e-3",
        "123456789012345678901234567890",
        "\"\"",
        "[]",
        "{}",
        " [ ] ",
        "\t{\r\n}",
        "[[],{}]",
        "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":1}",
        "1e-400",
        "0e999999",
        "1.7976931348623157e308",
        "\"\u{7f}\u{2028}\"",
    ] {
        accepts(text);
    }
}

#[test]
fn what_is_not_json() {
    for text in [
        "",
        " ",
        "{",
        "[",
        "}",
        "]",
        "[1,]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "[1 2]",
        "1 2",
        "{}{}",
        "[}",
        "{]",
        "nul",
        "nulll",
        "True",
        "'a'",
        "01",
        "-01",
        "-",
        "+1",
        ".5",
        "1.",
        "1.e3",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "-Infinity",
        "Infinity",
        "1e400",
        "-1e400",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"a\nb\"",
        "\"\0\"",
        "[1]x",
        "\u{feff}{}",
        "/**/1",
        "{\"a\":1 \"b\":2}",
    ] {
        refuses(text, Kind::NotJson);
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
    }
    refuses(format!("1{}", "0".repeat(309)), Kind::NotJson);
    accepts(format!("1{}", "0".repeat(308)));
}

#[test]
fn utf8_and_surrogates() {
    refuses(b"\"\xff\"", Kind::NotJson);
    refuses(b"\xef\xbb\xbf{}", Kind::NotJson);
    refuses(b"\xff\xfe{\0}\0", Kind::NotJson);
    refuses(b"\"\xed\xa0\x80\"", Kind::NotJson); // A surrogate as UTF-8.
    for text in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\ud800""#, r#""\ud800x""#, r#""\ud800\n""#, r#""\udc00\ud800""#] {
        refuses(text, Kind::NotJson);
    }
    accepts(r#""\ud83d\ude00 \uD83D\uDE00 \u00e9 \/""#);
}

#[test]
fn control_characters_at_every_place_of_a_word() {
    for at in 0..24 {
        for (byte, kind) in [(0x1F, Some(Kind::NotJson)), (0x20, None), (0x7F, None), (0x00, Some(Kind::NotJson))] {
            let mut text = vec![b'x'; 26];
            text[0] = b'"';
            text[25] = b'"';
            text[at + 1] = byte;
            assert_eq!(verdict(&text), kind, "{byte:#x} at {at}");
        }
        let mut text: Vec<u8> = format!("\"{}é{}\"", "x".repeat(at), "y".repeat(24)).into();
        accepts(&text);
        let end = text.len() - 1;
        text.insert(end, b'\\');
        refuses(&text, Kind::NotJson);
    }
}

#[test]
fn depth_is_inclusive() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    accepts(nested(64));
    refuses(nested(65), Kind::TooDeep);
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    accepts(objects(64));
    refuses(objects(65), Kind::TooDeep);
    refuses("[".repeat(4 << 20), Kind::TooDeep);
}

#[test]
fn nodes_are_inclusive() {
    let zeros = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
    accepts(zeros(100_000));
    refuses(zeros(100_001), Kind::TooManyNodes);
}

#[test]
fn strings_are_measured_after_unescaping() {
    let max = JsonLimits::default().string_bytes_max;
    accepts(format!("\"{}\"", "a".repeat(max)));
    refuses(format!("\"{}\"", "a".repeat(max + 1)), Kind::StringTooLong);
    accepts(format!("\"{}\"", "\\n".repeat(max)));
    refuses(format!("\"{}\"", "\\n".repeat(max + 1)), Kind::StringTooLong);
    accepts(format!("\"{}\"", "\\ud83d\\ude00".repeat(max / 4)));
    refuses(format!("\"{}\"", "\\u00e9".repeat(max / 2 + 1)), Kind::StringTooLong);
    refuses(format!("{{\"{}\":1}}", "a".repeat(max + 1)), Kind::StringTooLong);
}

#[test]
fn duplicate_keys() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":1}"#,
        r#"{"\u0061":1,"a":1}"#,
        r#"{"":1,"":1}"#,
        r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#,
        r#"{"a":{"b":1},"c":{"b":1},"a":{}}"#,
        r#"{"\ud83d\ude00":1,"😀":1}"#,
        r#"{"a\/b":1,"a/b":1}"#,
    ] {
        refuses(text, Kind::DuplicateKey);
    }
    accepts(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}],"A":1}"#);
}

#[test]
fn duplicate_keys_among_many() {
    for count in [15, 16, 17, 18, 1000] {
        let mut text = String::from("{");
        for key in 0..count {
            write!(text, "\"k{key}\":{{\"k0\":1}},").unwrap();
        }
        accepts(format!("{text}\"last\":1}}"));
        for again in [0, count / 2, count - 1] {
            refuses(format!("{text}\"k{again}\":1}}"), Kind::DuplicateKey);
        }
    }
}

/// J06: many keys cost no more than many values.
#[test]
fn many_keys_end_at_the_node_limit() {
    let mut text = String::from("{\"k\":0");
    for key in 0..150_000 {
        write!(text, ",\"{key:x}\":0").unwrap();
    }
    text.push('}');
    refuses(&text, Kind::TooManyNodes);
}

#[test]
fn the_offset_points_at_the_fault() {
    let error = check(b"[1,2,x]", &JsonLimits::default()).unwrap_err();
    assert_eq!((error.kind, error.offset_bytes), (Kind::NotJson, 5));
    assert_eq!(error.to_string(), "not valid JSON (at byte 5)");
}

/// `cargo test --release scanner_speed -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a test"]
fn scanner_speed() {
    use std::io::Write as _;
    let prose = format!("{{\"text\":\"{}\"}}", "The quick brown fox jumps. ".repeat(30_000));
    let row = r#"{"id":12345,"name":"some name here","tags":["a","bc"],"ok":true,"note":null,"price":12.5},"#;
    let records = format!("[{}1]", row.repeat(9_000));
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&records).unwrap()).unwrap();
    let call = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello world"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    for (name, text) in [("prose", &prose), ("records", &records), ("pretty", &pretty), ("call", &call.to_owned())] {
        let rounds = (400 << 20) / text.len();
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            check(std::hint::black_box(text).as_bytes(), &JsonLimits::default()).unwrap();
        }
        let seconds = start.elapsed().as_secs_f64();
        let bytes = (rounds * text.len()) as f64;
        let _ = writeln!(std::io::stdout(), "{name}: {:.0} MB/s, {:.2} us each", bytes / seconds / 1e6, seconds / rounds as f64 * 1e6);
    }
    let body = call.as_bytes();
    let rounds = 500_000_u32;
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        crate::jsonrpc::parse(std::hint::black_box(body), &JsonLimits::default()).unwrap();
    }
    let _ = writeln!(std::io::stdout(), "jsonrpc::parse of a call: {:?} each", start.elapsed() / rounds);
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..20).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Text that is nearly JSON: tokens in any order.
fn token_soup() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\"",
        "\"\\u0061\"",
        "\"\\ud800\"",
        "\"\\ud800\\udc00\"",
        "1",
        "-",
        "0",
        "1.5",
        "1e5",
        "1e999",
        "e",
        ".",
        "true",
        "null",
        "fals",
        " ",
        "\n",
        "\\",
        "\"",
        "\t",
        "\u{e9}",
        "\u{1}",
    ]);
    prop::collection::vec(token, 0..14).prop_map(|tokens| tokens.concat())
}

/// What serde_json says; it does not mind duplicate keys.
fn oracle(text: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(text).is_ok()
}

fn agrees(text: &[u8]) {
    match verdict(text) {
        None => assert!(oracle(text), "only the scanner accepts {text:?}"),
        Some(Kind::NotJson) => assert!(!oracle(text), "only the scanner refuses {text:?}"),
        Some(Kind::DuplicateKey | Kind::TooDeep | Kind::TooManyNodes | Kind::StringTooLong) => {}
    }
}

proptest! {
    #[test]
    fn accepts_what_serde_writes(value in any_json()) {
        prop_assert_eq!(verdict(value.to_string()), None);
        prop_assert_eq!(verdict(serde_json::to_string_pretty(&value).unwrap()), None);
    }

    #[test]
    fn agrees_with_serde_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        agrees(&bytes);
    }

    #[test]
    fn agrees_with_serde_on_soup(text in token_soup()) {
        agrees(text.as_bytes());
    }

    #[test]
    fn agrees_with_serde_on_broken_json(value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = value.to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        agrees(&text);
    }

    #[test]
    fn agrees_with_serde_on_cut_json(value in any_json(), at in any::<prop::sample::Index>()) {
        let mut text = value.to_string().into_bytes();
        text.truncate(at.index(text.len()));
        agrees(&text);
    }

    #[test]
    fn agrees_with_serde_on_strings(inside in r#"([a-c"\\/bu0-9dDcC]|\\u[0-9a-fA-F]{4}|\\[a-z]){0,12}"#) {
        agrees(format!("\"{inside}\"").as_bytes());
    }

    #[test]
    fn agrees_with_serde_on_numbers(text in r"-?[0-9]{0,3}(\.[0-9]{0,3})?([eE][+-]?[0-9]{0,4})?") {
        agrees(text.as_bytes());
    }
}
