//! A panic is a fault of ours, and of one request: its client is told so, and everybody else's requests go on, those of the same connection
//! too (reliability X08). What it held is dropped on the way; locks are such that none is left poisoned.

use super::error;
use crate::failure::Failure;
use axum::body::Body;
use axum::http::Response;
use futures_util::FutureExt as _;
use mcp::{Era, Id};
use std::panic::AssertUnwindSafe;

/// The answer to the request of that id, whatever becomes of making it.
pub(super) fn contained(id: Option<&Id>, answer: impl Future<Output = Response<Body>>) -> impl Future<Output = Response<Body>> {
    // Nothing that the future was making is looked at again. (An `async fn` would hold it twice: as its argument, and while it waits for it.)
    let answered = AssertUnwindSafe(answer).catch_unwind();
    answered.map(move |answered| answered.unwrap_or_else(|_| error::response(id, &Failure::Internal, Era::Legacy)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use http_body_util::BodyExt as _;
    use parking_lot::Mutex;
    use std::sync::Arc;

    /// As the page of metrics shows it.
    fn panics() -> u64 {
        let page = crate::metrics::page(crate::metrics::Gauges::default());
        let line = page.lines().find_map(|line| line.strip_prefix("gatehouse_panics_total ")).expect("it is on the page");
        line.parse().expect("a number")
    }

    async fn told(response: Response<Body>) -> (StatusCode, serde_json::Value) {
        let status = response.status();
        let body = response.into_body().collect().await.expect("whole").to_bytes();
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// X08
    #[tokio::test]
    async fn a_panic_is_an_error_of_its_request_alone() {
        crate::telemetry::log_panics();
        crate::metrics::count_panics();
        let (held, before) = (Arc::new(Mutex::new(0)), panics());
        for (at, id) in [Some(Id::Number(7)), Some(Id::String("seven".into())), None].into_iter().enumerate() {
            let lock = Arc::clone(&held);
            let answer = async move {
                tokio::task::yield_now().await;
                let mut held = lock.lock();
                *held += 1;
                panic!("a fault of ours with CANARY-DETAIL");
            };
            let (status, message) = told(contained(id.as_ref(), answer).await).await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(message["error"]["code"], -32603, "{message}");
            let expected = [serde_json::json!(7), serde_json::json!("seven"), serde_json::Value::Null];
            assert_eq!(message.get("id").cloned().unwrap_or_default(), expected[at], "{message}");
            assert!(!message.to_string().contains("CANARY") && !message.to_string().contains(".rs"), "{message}");
            assert_eq!(*held.lock(), at + 1, "what was locked is free again");
        }
        assert!(panics() >= before + 3, "each is counted: others may panic meanwhile");
        let answer = contained(None, async { Response::new(Body::from("{}")) }).await;
        assert_eq!(told(answer).await.0, StatusCode::OK, "and the next is answered");
    }
}
