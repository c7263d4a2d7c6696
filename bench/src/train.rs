//! What an instrumented gateway is let do, so that the compiler learns which code calls run through (`scripts/profile`): calls of every kind that
//! `calls` measures, some of larger payloads, one connection and several. How fast it is says nothing: it counts each branch.

use crate::callers;
use crate::calls::{self, BYTES, compact_echo};
use crate::load::{Request, run};
use crate::requests::{legacy_echo, legacy_stream, modern_echo, telling_stream};
use crate::servers::{COUNTED, Server, Setup};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

const CONNECTIONS: usize = 16;

/// Leaves a profile of each gateway in target/instrumented.
pub(crate) async fn run_all(each: Duration) -> Result<()> {
    let plain = Server::start_gatehouse(&Setup { instrumented: true, ..calls::plain() }).await?;
    let (keys, header) = callers::prepare(&callers::GUARDED)?;
    let guarded = Server::start_gatehouse(&Setup { instrumented: true, ..calls::guarded(&keys) }).await?;

    let sessions = calls::sessions(&plain).await?;
    let in_sessions = |request: fn(usize, &str) -> Request| sessions.iter().map(|one| request(BYTES, one)).collect();
    let compact = || vec![compact_echo(None)];
    let work: [(&Server, usize, Vec<Request>); 11] = [
        (&plain, CONNECTIONS, vec![modern_echo(BYTES, None)]),
        (&plain, CONNECTIONS, compact()),
        (&plain, 1, compact()),
        (&plain, 64, compact()),
        (&plain, CONNECTIONS, in_sessions(legacy_echo)),
        (&plain, CONNECTIONS, in_sessions(legacy_stream)),
        (&plain, CONNECTIONS, in_sessions(telling_stream)),
        (&plain, 4, vec![modern_echo(10 << 10, None)]),
        (&plain, 1, vec![modern_echo(1 << 19, None)]),
        (&guarded, CONNECTIONS, vec![modern_echo(BYTES, header.as_deref())]),
        (&guarded, CONNECTIONS, vec![compact_echo(header.as_deref())]),
    ];
    for (server, connections, requests) in work {
        run(server, &requests, connections, each).await?;
    }
    for (name, server) in [("plain", plain), ("guarded", guarded)] {
        let kept = server.end().await?;
        let to = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/instrumented/{name}.profraw"));
        let left = std::fs::copy(kept.path().join(COUNTED), to);
        left.context("the gateway left no profile: it was not built with GATEHOUSE_PROFILE=generate")?;
    }
    Ok(())
}
