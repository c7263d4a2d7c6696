//! How tests start a gateway and speak with it.
//!
//! - [`Gateway::start`] starts one with the text toolbox; [`Gateway::with`] says what else it gets.
//! - [`Gateway::modern`] and [`Gateway::legacy`] make requests of the two eras; [`raw`] sends bytes as they are, [`http2`] frames.
//! - [`Events`] reads an event stream as it comes; [`Gateway::restart`] kills the process and starts another on the same data.
//! - [`JwksServer`] serves keys to a gateway, or says whatever a test wants.
//! - [`Collector`] takes traces from a gateway, and reads them.
//! - [`process`] tells what the kernel says of one.
//! - [`Upstream`] is a server that plugins send requests to.
//! - [`Answer`] is what came back: status, headers, and the JSON-RPC message or the events.
//! - [`eventually`] waits for something that takes a moment, without sleeping longer than it takes.

mod answer;
mod collector;
mod components;
mod cutter;
mod events;
mod gateway;
pub mod http2;
mod jwks_server;
mod paths;
pub mod process;
pub mod raw;
mod requests;
mod upstream;

pub use answer::Answer;
pub use collector::{Collector, Span, Takes};
pub use components::{component_of, component_with_f};
pub use cutter::{Cut, Cutter};
pub use events::{Event, Events, messages};
pub use gateway::{Gateway, Setup, kept_from_others};
pub use jwks_server::{JwksServer, Reserved, Says};
pub use paths::{binary, fixture, plugin, policy, root};
pub use requests::{MODERN, Modern, call_params, count, initialize_params, rpc};
pub use upstream::Upstream;

use std::future::Future;
use std::time::{Duration, Instant};

/// The turn of a test that wants much of the machine, or whose clients know what is too slow by clocks of their own: one at a time, beside all
/// others.
pub async fn turn() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

/// Asks again until the answer is there; fails with `what` after `limit`.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, limit: Duration, mut ask: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
