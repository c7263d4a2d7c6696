//! Load: keep-alive connections that each send the next request when the answer to the last one is there.

use crate::ROUNDS;
use crate::report::median;
use crate::servers::Server;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where a connection's number goes into the body: of fixed width, so that the length stays right.
pub(crate) const ID_PLACEHOLDER: &str = "id-######";

/// Requests of each connection that nobody measures.
const WARM: usize = 30;

/// One request as bytes.
#[derive(Debug, Clone)]
pub(crate) struct Request(String);

impl Request {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: &Value) -> Self {
        let body = body.to_string();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Self(format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             {headers}content-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}

/// What one round gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Processor time of the server process for each answer.
    pub(crate) cpu_us: f64,
}

impl Measured {
    /// For each number the middle one of all rounds.
    pub(crate) fn median_of(rounds: &[Self]) -> Self {
        let of = |number: fn(&Self) -> f64| median(rounds.iter().map(number).collect());
        Self {
            per_second: of(|one| one.per_second),
            p50_us: of(|one| one.p50_us),
            p99_us: of(|one| one.p99_us),
            cpu_us: of(|one| one.cpu_us),
        }
    }
}

/// Rounds of the same, and the middle of them.
pub(crate) async fn rounds(server: &Server, requests: &[Request], connections: usize, each: Duration) -> Result<Measured> {
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        all.push(run(server, requests, connections, each).await?);
    }
    Ok(Measured::median_of(&all))
}

/// One round. The connections take the requests in turn, each always the same.
pub(crate) async fn run(server: &Server, requests: &[Request], connections: usize, duration: Duration) -> Result<Measured> {
    let mut open = Vec::new();
    for (number, request) in requests.iter().cycle().take(connections).enumerate() {
        let mut connection = Connection::open(server.address(), number, request).await?;
        for _ in 0..WARM {
            connection.exchange().await?;
        }
        connection.check()?;
        open.push(connection);
    }
    let (began, cpu) = (Instant::now(), server.cpu()?);
    let until = began + duration;
    let tasks: Vec<_> = open.into_iter().map(|connection| tokio::task::spawn(connection.run(until))).collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let (elapsed, cpu) = (began.elapsed(), server.cpu()?.saturating_sub(cpu));
    latencies.sort_unstable();
    let count = latencies.len();
    let at = |share: f64| latencies.get(((count as f64) * share) as usize).map_or(0.0, |latency| latency.as_secs_f64() * 1e6);
    Ok(Measured {
        per_second: count as f64 / elapsed.as_secs_f64(),
        p50_us: at(0.5),
        p99_us: at(0.99),
        cpu_us: cpu.as_secs_f64() * 1e6 / count.max(1) as f64,
    })
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: &str, number: usize, request: &Request) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = request.0.replace(ID_PLACEHOLDER, &format!("id-{number:06}"));
        Ok(Self { stream, request: request.into_bytes(), buffer: Vec::with_capacity(64 << 10) })
    }

    async fn run(mut self, until: Instant) -> Result<Vec<Duration>> {
        let mut latencies = Vec::with_capacity(10_000);
        loop {
            let began = Instant::now();
            if began >= until {
                return Ok(latencies);
            }
            self.exchange().await?;
            latencies.push(began.elapsed());
        }
    }

    async fn exchange(&mut self) -> Result<()> {
        self.stream.write_all(&self.request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if is_whole(&self.buffer)? {
                return Ok(());
            }
        }
    }

    /// Whether the last answer was what is measured: a server that refuses is fast.
    fn check(&self) -> Result<()> {
        let has = |text: &[u8]| self.buffer.windows(text.len()).any(|window| window == text);
        let good = has(b"\"result\":") && !has(b"\"isError\":true");
        anyhow::ensure!(
            good,
            "this is not what is measured: {}",
            String::from_utf8_lossy(self.buffer.get(..2_000).unwrap_or(&self.buffer))
        );
        Ok(())
    }
}

/// Whether the response in the buffer has come to its end.
fn is_whole(buffer: &[u8]) -> Result<bool> {
    let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default())?;
    if !text.starts_with("HTTP/1.1 200") {
        bail!(
            "the server answered {}: {}",
            text.lines().next().unwrap_or_default(),
            String::from_utf8_lossy(buffer.get(head..).unwrap_or_default())
        );
    }
    let field = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    if field("transfer-encoding") == Some("chunked") {
        // Nothing that is measured has such bytes in its text: JSON escapes them.
        return Ok(buffer.get(head..).is_some_and(|body| body.ends_with(b"\r\n0\r\n\r\n")));
    }
    let length: usize = field("content-length").and_then(|length| length.parse().ok()).context("an answer without a length")?;
    Ok(buffer.len() >= head + 4 + length)
}
