//! From a running call into its stream.

use super::{Stream, Streams, Taken};
use crate::outbox::{End, Reply, Run};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::sync::Arc;

/// Events that may be on their way to the disk.
const WRITES_MAX: usize = 16;

/// Drives a call to its end and writes everything that it says into its stream. `say` puts the end into words; `place` is given back when
/// the end is written.
pub async fn pump(
    streams: Arc<Streams>,
    stream: Arc<Stream>,
    mut run: Box<dyn Run>,
    mut first: Option<Reply>,
    say: impl FnOnce(End) -> Vec<u8> + Send,
    place: Taken,
) {
    let mut writes = FuturesUnordered::new();
    let end = loop {
        let reply = match first.take() {
            Some(reply) => reply,
            None => {
                tokio::select! {
                    biased;
                    Some(()) = writes.next() => continue,
                    reply = run.next(), if writes.len() < WRITES_MAX => reply,
                }
            }
        };
        match reply {
            Reply::Notification(message) | Reply::Question(message) => writes.push(stream.write(Bytes::from(message), false)),
            Reply::End(end) => break *end,
        }
        let mut pace = std::pin::pin!(stream.pace());
        loop {
            tokio::select! {
                biased;
                () = &mut pace => break,
                Some(()) = writes.next() => {}
            }
        }
    };
    drop(run);
    writes.push(stream.write(say(end).into(), true));
    while writes.next().await.is_some() {}
    streams.over(&stream);
    drop(place);
}
