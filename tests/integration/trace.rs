//! W3C trace context: what a client says of the trace that its request belongs to reaches the guest, if it is well formed.

use crate::harness::{Gateway, Modern, Setup, call_params, rpc};
use serde_json::{Value, json};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";
const BAGGAGE: &str = "userId=alice,serverNode=DF%2028,isProduction=false";

#[tokio::test]
async fn a_trace_reaches_the_guest_as_it_is() {
    let gateway = Gateway::with(Setup { fixtures: vec!["misbehave"], ..Setup::default() }).await;
    let session = gateway.session("2025-11-25").await;
    let whole = json!({ "traceparent": PARENT, "tracestate": STATE, "baggage": BAGGAGE });
    let without = |bad: Value| json!({ "traceparent": bad, "tracestate": STATE, "baggage": BAGGAGE });
    let only_baggage = json!({ "baggage": BAGGAGE });
    let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
    let rows = [
        (whole.clone(), whole),
        (json!({ "traceparent": PARENT }), json!({ "traceparent": PARENT })),
        (json!({ "traceparent": later }), json!({ "traceparent": later })),
        (json!({ "traceparent": PARENT, "own": 1 }), json!({ "traceparent": PARENT, "own": 1 })),
        // Without a parent there is no state; what belongs to the whole trace stays.
        (json!({ "tracestate": STATE }), Value::Null),
        (only_baggage.clone(), only_baggage.clone()),
        (without(json!(7)), only_baggage.clone()),
        (without(json!("")), only_baggage.clone()),
        (without(json!(PARENT.to_uppercase())), only_baggage.clone()),
        (without(json!(&PARENT[..54])), only_baggage.clone()),
        (without(json!(format!("{PARENT}-more"))), only_baggage.clone()),
        (without(json!(format!("ff{}", &PARENT[2..]))), only_baggage.clone()),
        (without(json!(PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)))), only_baggage.clone()),
        (without(json!(PARENT.replace("b7ad6b7169203331", &"0".repeat(16)))), only_baggage.clone()),
        (without(json!(format!(" {PARENT}"))), only_baggage.clone()),
        (without(json!(PARENT.replace('-', "_"))), only_baggage),
        (json!({ "traceparent": PARENT, "tracestate": "a=\u{e9}", "baggage": "a=b\nc=d" }), json!({ "traceparent": PARENT })),
        (json!({ "traceparent": PARENT, "tracestate": "a".repeat(513), "baggage": "b".repeat(8193) }), json!({ "traceparent": PARENT })),
    ];
    for (sent, seen) in rows {
        let request = Modern::call("caller", json!({})).body(|body| {
            let members = sent.as_object().expect("an object").clone();
            body["params"]["_meta"].as_object_mut().expect("an object").extend(members);
        });
        let modern = gateway.modern(request).await;
        let mut call = rpc(1, "tools/call", call_params("caller", json!({})));
        call["params"]["_meta"] = sent.clone();
        for answer in [modern, gateway.legacy(Some(&session), call).await] {
            assert_eq!((answer.status, &answer.result()["structuredContent"]["meta"]), (200, &seen), "{sent}: it never refuses a request");
        }
    }
}
