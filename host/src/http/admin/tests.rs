use super::*;
use serde_json::Value;
use std::collections::BTreeSet;

fn description() -> Value {
    serde_json::from_str(DESCRIPTION).expect("JSON")
}

/// What is described is what there is.
#[test]
fn the_description_has_every_operation_and_no_other() {
    let described = description();
    let paths = described["paths"].as_object().expect("paths");
    let described: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, item)| item.as_object().expect("an item").keys().map(move |method| format!("{} {path}", method.to_uppercase())))
        .collect();
    let there: BTreeSet<_> = OPERATIONS.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(described, there);
    for (method, path, wanted) in &OPERATIONS {
        let asked = path.replace("{id}", "0f");
        assert_eq!(operation(method, &asked).ok(), Some((*wanted, if asked == *path { "" } else { "0f" })));
    }
}

#[test]
fn a_path_that_says_which_says_one() {
    for path in ["/v1/revocations/", "/v1/revocations/0f/", "/v1/revocations/0f/1", "/v1/revocations//", "/v1/revocation/0f"] {
        assert_eq!(at(path).count(), 0, "{path}");
    }
}

/// References point somewhere, and what needs the token says so.
#[test]
fn the_description_is_whole() {
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let described = description();
    assert_eq!(described["openapi"], "3.1.0");
    assert_eq!(described["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut found = Vec::new();
    references(&described, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a place of its own");
        assert!(described.pointer(pointer).is_some(), "{reference}");
    }
    assert_eq!(described["security"][0]["adminToken"], serde_json::json!([]));
    for (method, path, at) in &OPERATIONS {
        let operation = &described["paths"][path][method.as_str().to_lowercase()];
        assert!(operation["operationId"].is_string() && operation["responses"]["200"].is_object(), "{method} {path}");
        assert_eq!(operation["responses"]["401"].is_object(), *at != Operation::Health, "{method} {path}");
        assert_eq!(operation.get("security").is_some(), *at == Operation::Health, "{method} {path}");
    }
}
