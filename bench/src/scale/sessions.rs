//! Sessions of 2025-11-25 that each hold their own event stream open and hear nothing: what one of them takes of memory.

use crate::calls::NO_RATES;
use crate::print;
use crate::report::{Report, Shape};
use crate::servers::Server;
use anyhow::{Result, ensure};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

const COUNTS: [u64; 4] = [100, 1_000, 5_000, 10_000];
/// Files that a process needs beside one for each session.
const OTHER_FILES: u64 = 500;
/// That are begun at once: each waits for the disk.
const AT_ONCE: usize = 32;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let most = files_max();
    let limits = format!(
        "{NO_RATES}[limits]\nsessions_per_tenant_max = {0}\nsessions_per_principal_max = {0}\nstreams_per_tenant_max = {0}\nstreams_per_principal_max = {0}\n\
         sessions_max = {0}\nconnections_max = {0}\nconnections_per_address_max = {0}\nsession_initialization_timeout_s = 3600\n",
        20_000
    );
    let gateway = Arc::new(Server::gatehouse_with(&limits).await?);
    let before_kb = gateway.resident_kb()?;
    let table =
        report.table("scale: idle sessions with an open event stream", "sessions", &[("more MiB", 1), ("KiB each", 1)], Shape::Curve(1));
    let (mut open, mut each_kb) = (Vec::new(), f64::NAN);
    for count in COUNTS {
        if count + OTHER_FILES > most {
            print(&format!("{count}: not measured, because a process may open {most} files only"));
            each_kb = f64::NAN;
            continue;
        }
        let (mut tasks, turns) = (Vec::new(), Arc::new(Semaphore::new(AT_ONCE)));
        for _ in open.len() as u64..count {
            let (gateway, turn) = (Arc::clone(&gateway), Arc::clone(&turns).acquire_owned().await?);
            tasks.push(tokio::task::spawn(async move {
                let stream = one(&gateway).await;
                drop(turn);
                stream
            }));
        }
        for task in tasks {
            open.push(task.await??);
        }
        let more_kb = gateway.resident_kb()?.saturating_sub(before_kb) as f64;
        each_kb = more_kb / count as f64;
        table.row(&count.to_string(), &[more_kb / 1_024.0, each_kb]);
    }
    report.at_most("scale: an idle session, of 10,000", each_kb, 20.0, "KiB");
    Ok(())
}

async fn one(gateway: &Server) -> Result<TcpStream> {
    let session = gateway.initialize().await?;
    let mut stream = TcpStream::connect(gateway.address()).await?;
    let request = format!("GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    ensure!(head == *b"HTTP/1.1 200", "no event stream: {}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// Raises the number of files that this process and its children may open as far as it goes; how far that is.
fn files_max() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let most = now.maximum.unwrap_or(1 << 20);
    match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: now.maximum }) {
        Ok(()) => most,
        Err(_) => now.current.unwrap_or(1_024),
    }
}
