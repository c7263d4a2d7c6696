use super::{Amount, Progress};
use crate::Revision;
use crate::meta::ProgressToken;

#[track_caller]
fn check(token: &str, progress: f64, total: Option<f64>, revision: Revision, expected: &str) {
    let token = ProgressToken::from_json(serde_json::from_str(token).unwrap()).unwrap();
    let progress = Progress {
        progress: Amount::new(progress).unwrap(),
        total: total.map(|total| Amount::new(total).unwrap()),
        message: Some("m".into()),
    };
    let text = String::from_utf8(progress.write(revision, &token)).unwrap();
    let head = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":"#;
    assert_eq!(text, format!("{head}{expected}}}"));
}

#[test]
fn tokens_keep_their_type_and_whole_numbers_stay_whole() {
    let now = Revision::V2026_07_28;
    check("7", 50.0, Some(100.0), now, r#"{"progressToken":7,"progress":50,"total":100,"message":"m"}"#);
    check("\"7\"", 0.5, None, now, r#"{"progressToken":"7","progress":0.5,"message":"m"}"#);
    check("1", 1e21, None, now, r#"{"progressToken":1,"progress":1000000000000000000000,"message":"m"}"#);
    check("1", 0.0, None, Revision::V2024_11_05, r#"{"progressToken":1,"progress":0}"#);
}

#[test]
fn amounts_are_finite() {
    assert_eq!(Amount::new(f64::NAN), None);
    assert_eq!(Amount::new(f64::INFINITY), None);
}
