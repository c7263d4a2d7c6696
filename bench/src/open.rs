//! Open load: requests come at a rate, whether or not earlier ones have been answered. What each took counts from when it was due, so that a
//! server that is late cannot hide it.

use crate::load::Request;
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// A request that is not answered by then has failed.
const PATIENCE: Duration = Duration::from_secs(40);

/// One answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// When it was due, from the beginning of the load.
    pub(crate) due: Duration,
    /// From when it was due to its last byte.
    pub(crate) took: Duration,
    /// From when it was sent: a timer is up to a millisecond late, which is longer than a call takes.
    pub(crate) took_of_call: Duration,
    /// 0: none came.
    pub(crate) status: u16,
    /// Whether it is a JSON-RPC result.
    pub(crate) is_result: bool,
    pub(crate) retry_after_s: Option<u64>,
}

/// Connections to one server, as many as are in use at once.
#[derive(Clone)]
pub(crate) struct Client {
    address: Arc<str>,
    idle: Arc<Mutex<Vec<TcpStream>>>,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.into(), idle: Arc::default() }
    }

    /// At that rate, for so long; all answers, in the order of asking.
    pub(crate) async fn run(&self, request: &Request, per_second: f64, duration: Duration) -> Result<Vec<Answered>> {
        let began = Instant::now();
        let mut tasks = Vec::new();
        let count = (per_second * duration.as_secs_f64()) as u32;
        for number in 0..count {
            let due = Duration::from_secs_f64(f64::from(number) / per_second);
            tokio::time::sleep_until((began + due).into()).await;
            let (client, request) = (self.clone(), request.clone());
            tasks.push(tokio::task::spawn(async move {
                let sent = began.elapsed();
                let exchanged = tokio::time::timeout(PATIENCE, client.exchange(&request)).await;
                let (status, is_result, retry_after_s) = exchanged.ok().and_then(Result::ok).unwrap_or((0, false, None));
                let ended = began.elapsed();
                let (took, took_of_call) = (ended.saturating_sub(due), ended.saturating_sub(sent));
                Answered { due, took, took_of_call, status, is_result, retry_after_s }
            }));
        }
        let mut all = Vec::with_capacity(tasks.len());
        for task in tasks {
            all.push(task.await?);
        }
        Ok(all)
    }

    /// One request and its answer: status, whether it is a result, and when to come again.
    pub(crate) async fn exchange(&self, request: &Request) -> Result<(u16, bool, Option<u64>)> {
        let idle = self.idle.lock().await.pop();
        // The server closes what is idle for long; HTTP clients begin anew then.
        if let Some(stream) = idle
            && let Ok(answer) = self.exchange_on(stream, request).await
        {
            return Ok(answer);
        }
        let stream = TcpStream::connect(&*self.address).await?;
        stream.set_nodelay(true)?;
        self.exchange_on(stream, request).await
    }

    async fn exchange_on(&self, mut stream: TcpStream, request: &Request) -> Result<(u16, bool, Option<u64>)> {
        stream.write_all(request.bytes()).await?;
        let mut buffer = Vec::with_capacity(4 << 10);
        let answer = loop {
            if stream.read_buf(&mut buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(head) = Head::of(&buffer)?
                && buffer.len() >= head.whole
            {
                break head;
            }
        };
        let body = buffer.get(answer.body..).unwrap_or_default();
        let is_result = answer.status == 200 && body.windows(9).any(|window| window == b"\"result\":");
        if !answer.closes {
            self.idle.lock().await.push(stream);
        }
        Ok((answer.status, is_result, answer.retry_after_s))
    }
}

struct Head {
    status: u16,
    body: usize,
    whole: usize,
    closes: bool,
    retry_after_s: Option<u64>,
}

impl Head {
    /// Once it is there.
    fn of(buffer: &[u8]) -> Result<Option<Self>> {
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(buffer.get(..end).unwrap_or_default())?;
        let field = |wanted: &str| {
            text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case(wanted).then(|| value.trim())
            })
        };
        let status = text.get(9..12).and_then(|status| status.parse().ok()).context("a status")?;
        let length: usize = field("content-length").and_then(|length| length.parse().ok()).context("an answer without a length")?;
        let closes = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let retry_after_s = field("retry-after").and_then(|value| value.parse().ok());
        Ok(Some(Self { status, body: end + 4, whole: end + 4 + length, closes, retry_after_s }))
    }
}

/// The value below which that part of all lies, in milliseconds.
pub(crate) fn percentile_ms(mut all: Vec<Duration>, part: f64) -> f64 {
    all.sort_unstable();
    let at = ((all.len() as f64) * part) as usize;
    all.get(at.min(all.len().saturating_sub(1))).map_or(0.0, |took| took.as_secs_f64() * 1e3)
}
