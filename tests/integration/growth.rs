//! Growth elision: whoever begins with more memory than was asked for answers as before.

use crate::harness::{Gateway, Setup, root};
use serde_json::{Value, json};
use std::time::Duration;

/// With, and without.
async fn both() -> [Gateway; 2] {
    let gateway = async |settings: &str| {
        let gateway = Gateway::with(Setup { fixtures: vec!["misbehave"], settings: settings.to_owned(), ..Setup::default() }).await;
        let growing = std::fs::read_to_string(root().join("tests/evil/growing.wat")).expect("the text");
        gateway.drop_in("growing", &wat::parse_str(growing).expect("a component"));
        let served = async || gateway.tools().await.contains(&"growing_size".to_owned()).then_some(());
        crate::harness::eventually("it is served", Duration::from_secs(20), served).await;
        gateway
    };
    // What memory is asked for is refused soon, and nothing is left of a line of time or chance.
    let limits = "[limits]\ncall_memory_bytes_max = 8388608\ncall_cpu_time_ms = 60000\ncall_wall_time_ms = 60000\n";
    [gateway(limits).await, gateway(&format!("[plugins]\ngrowth_elision = false\n{limits}")).await]
}

#[tokio::test]
async fn who_has_memory_from_the_beginning_answers_as_before() {
    let [elided, as_it_is] = both().await;
    let calls = [
        // Sizes and refusals: 128 pages at most.
        ("growing_size", json!({})),
        ("growing_grow", json!({ "pages": 0 })),
        ("growing_grow", json!({ "pages": 1 })),
        ("growing_grow", json!({ "pages": 127 })),
        ("growing_grow", json!({ "pages": 128 })),
        ("growing_grow", json!({ "pages": 65_537 })),
        ("growing_grow", json!({ "pages": u32::MAX })),
        ("growing_use", json!({ "pages": 1 })),
        ("growing_use", json!({ "pages": 2 })),
        ("growing_use", json!({ "pages": 3 })),
        ("growing_use", json!({ "pages": 127 })),
        ("growing_use", json!({ "pages": 200 })),
        ("growing_peek", json!({ "at": 65_535 })),
        ("growing_peek", json!({ "at": 3 * 65_536 })),
        ("growing_peek", json!({ "at": u32::MAX })),
        // What a toolchain makes, with its allocator: all is well, too much, and every way to fall.
        ("alloc", json!({ "mib": 1 })),
        ("alloc", json!({ "mib": 5 })),
        ("alloc", json!({})),
        ("leftovers", json!({ "mib": 4 })),
        ("remember", json!({ "text": "x".repeat(200_000) })),
        ("big_result", json!({ "bytes": 900_000 })),
        ("big_result", json!({ "bytes": 3_000_000 })),
        ("caller", json!({})),
        ("image", json!({})),
        ("recurse", json!({})),
        ("trap", json!({})),
        ("panic", json!({})),
        ("exit", json!({ "code": 3 })),
        ("bad_utf8", json!({})),
        ("bad_pointer", json!({})),
        ("bad_structured", json!({})),
        ("fail_internal", json!({})),
    ];
    for (tool, arguments) in calls {
        let [with, without] = [elided.call(tool, arguments.clone()).await, as_it_is.call(tool, arguments.clone()).await];
        assert_eq!((with.status, with.message()), (without.status, without.message()), "{tool} {arguments}");
    }
}

/// The one difference, which the page names: without it, nobody would know that the setting does anything.
#[tokio::test]
async fn beyond_what_it_asked_for_is_a_little_of_its_own() {
    let [elided, as_it_is] = both().await;
    for (at, is_reserved) in [(65_536, true), (3 * 65_536 - 1, true), (3 * 65_536, false)] {
        let peek = json!({ "at": at });
        assert_eq!(as_it_is.call("growing_peek", peek.clone()).await.kind(), "tool_trap", "{at}");
        let answer = elided.call("growing_peek", peek).await;
        match is_reserved {
            true => assert_eq!(answer.result()["structuredContent"], Value::from(0), "{at}"),
            false => assert_eq!(answer.kind(), "tool_trap", "{at}"),
        }
    }
}
