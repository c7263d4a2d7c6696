//! From a running call into its stream.

use super::{Stream, Streams, Taken, Unwritten};
use crate::outbox::{End, Reply, Run};
use event_store::Partition;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// Events that may be on their way to the disk.
const WRITES_MAX: usize = 16;

/// Begins the stream of a call that has said `first`. What drives the call to its end becomes one of `tasks`, if that is not there already.
///
/// What the call says without being waited for goes to the disk in one piece with the stream itself. `about` is the request's id;
/// `say` puts the end into words; `place` is given back when the end is written.
pub async fn begin(
    (streams, tasks): (&Arc<Streams>, &TaskTracker),
    (partition, about): (&Partition, Vec<u8>),
    mut run: Box<dyn Run>,
    first: Option<Reply>,
    say: impl FnOnce(End) -> Vec<u8> + Send + 'static,
    place: Taken,
) -> Arc<Stream> {
    let (mut said, mut next, mut end) = (Vec::new(), first, None);
    while let Some(reply) = next.take() {
        match reply {
            Reply::Notification(message) | Reply::Question(message) => said.push(Unwritten { message: message.into(), is_final: false }),
            Reply::End(ended) => end = Some(*ended),
        }
        if end.is_none() && said.len() < WRITES_MAX {
            next = run.next().now_or_never();
        }
    }
    let Some(end) = end else {
        let stream = streams.begin(partition, about.into(), said).await;
        tasks.spawn(pump(Arc::clone(streams), Arc::clone(&stream), run, say, place));
        return stream;
    };
    drop(run);
    said.push(Unwritten { message: say(end).into(), is_final: true });
    streams.begin(partition, about.into(), said).await
}

/// Drives a call to its end and writes everything that it says into its stream.
async fn pump(streams: Arc<Streams>, stream: Arc<Stream>, mut run: Box<dyn Run>, say: impl FnOnce(End) -> Vec<u8> + Send, place: Taken) {
    let mut writes = FuturesUnordered::new();
    let end = loop {
        let reply = tokio::select! {
            biased;
            Some(()) = writes.next() => continue,
            reply = run.next(), if writes.len() < WRITES_MAX => reply,
        };
        match reply {
            Reply::Notification(message) | Reply::Question(message) => {
                writes.push(stream.write(Unwritten { message: message.into(), is_final: false }));
            }
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
    writes.push(stream.write(Unwritten { message: say(end).into(), is_final: true }));
    while writes.next().await.is_some() {}
    streams.over(&stream);
    drop(place);
}
