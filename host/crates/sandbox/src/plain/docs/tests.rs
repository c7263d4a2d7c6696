use super::*;

/// As the crate `wit-parser` writes it.
fn section(version: u8, json: &str) -> Vec<u8> {
    [&[version][..], json.as_bytes()].concat()
}

#[test]
fn functions_are_found_under_their_interface_and_their_world() {
    let json = r#"{
        "docs": "The package.",
        "worlds": {
            "shop": {
                "docs": "A world.",
                "funcs": { "top": { "docs": "Of the world." }, "both": { "docs": "The import." } },
                "func_exports": { "both": { "docs": "The export." } },
                "interfaces": { "inline": { "funcs": { "f": { "docs": "Inside." } } } },
                "interface_exports": { "twice": { "funcs": { "f": { "docs": "Exported." } } } }
            }
        },
        "interfaces": {
            "add": {
                "docs": "Adds.",
                "funcs": { "add": { "docs": "  Adds two numbers.\n", "stability": { "stable": { "since": "1.0.0" } } }, "none": {} },
                "types": { "point": { "docs": "A point.", "items": { "x": "To the right." } } }
            }
        }
    }"#;
    let docs = Docs::read(Some(&section(1, json)));
    let expected = [
        (Some("docs:adder/add@0.1.0"), "add", Some("Adds two numbers.")),
        (Some("docs:adder/add"), "add", Some("Adds two numbers.")),
        (Some("docs:adder/add@0.1.0"), "none", None),
        (Some("docs:adder/sub@0.1.0"), "add", None),
        (Some("inline"), "f", Some("Inside.")),
        (Some("twice"), "f", Some("Exported.")),
        (None, "top", Some("Of the world.")),
        (None, "both", Some("The export.")),
        (None, "add", None),
    ];
    for (interface, name, text) in expected {
        assert_eq!(docs.function(interface, name), text, "{interface:?} {name}");
    }
    let items = docs.record(docs.interface("a:b/add"), "point").expect("its fields");
    assert_eq!(items.get("x").map(String::as_str), Some("To the right."));
    assert!(docs.record(None, "line").is_none());
}

/// The first version of the format has texts where the second has objects.
#[test]
fn the_first_version_is_read() {
    let docs = Docs::read(Some(&section(0, r#"{"interfaces":{"add":{"funcs":{"add":"Adds.","none":null}}}}"#)));
    assert_eq!(docs.function(Some("a:b/add"), "add"), Some("Adds."));
    assert_eq!(docs.function(Some("a:b/add"), "none"), None);
}

#[test]
fn what_cannot_be_read_is_none() {
    let whole = r#"{"worlds":{"w":{"funcs":{"f":{"docs":"Said."}}}}}"#;
    assert_eq!(Docs::read(Some(&section(1, whole))).function(None, "f"), Some("Said."));
    for bytes in [section(2, whole), section(1, "{"), section(1, "[]"), section(1, &"[".repeat(10_000)), Vec::new()] {
        assert_eq!(Docs::read(Some(&bytes)).function(None, "f"), None);
    }
    assert_eq!(Docs::read(None).function(None, "f"), None);
}
