//! What an operator may ask a running gateway: a socket in the store's directory, which only the gateway's user can enter.
//!
//! One line asks (`stats`, `walk`, `usage`, `reload`, or an [`Order`] as a JSON object), JSON lines answer, the last one is `{"end":true}`.
//! Nothing can be changed this way but that the settings are read again, and what is revoked.

use crate::journal::{Event, Journal, Kind};
use crate::revocation::Order;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use event_store::{Bucket, EventStore, Item, Partition, Space, Statistics, StreamKey};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::{Map, Value};
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// The last line of an answer.
pub const END: &str = "{\"end\":true}";
/// Entries that are read at once: readers of requests do not wait behind more.
pub const PAGE_ITEMS: usize = 500;
/// For a question to come, and for each page to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest is an order with long names, each of whose bytes may be escaped.
const QUESTION_BYTES_MAX: u64 = 128 << 10;
/// Questions that are answered at once: a reading of the settings takes its time, and nobody who revokes waits for it.
const QUESTIONS_MAX: usize = 16;
/// Without a question.
const ROUND: Duration = Duration::from_secs(5);
/// For an order to be carried out.
const ORDER_WAIT: Duration = Duration::from_secs(30);
/// For questions that are being answered when the gateway ends.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// For new settings to be in force: plugins of a new directory are compiled before.
const RELOAD_WAIT: Duration = Duration::from_secs(600);

/// Asks that the settings are read again; what became of it comes back, for people.
pub type Reload = oneshot::Sender<Result<String, String>>;

/// Gives the ledger of what was used, a row each.
pub type Ledger = Arc<dyn Fn() -> Vec<Map<String, Value>> + Send + Sync>;

/// An order; what became of it comes back, line by line.
pub type Ordered = (Order, oneshot::Sender<Vec<Value>>);

/// Whom questions go to, whoever brings them: a command through the socket, or the admin listener.
pub struct Desks {
    /// What there is to look at.
    pub store: Arc<dyn EventStore>,
    /// What was used.
    pub ledger: Ledger,
    /// Who reads the settings again.
    pub reload: mpsc::Sender<Reload>,
    /// Who carries orders out.
    pub orders: mpsc::Sender<Ordered>,
    /// Where it is written down what was asked for, but for what changes nothing and shows nothing of anybody.
    pub journal: Arc<Journal>,
}

impl std::fmt::Debug for Desks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desks").finish_non_exhaustive()
    }
}

impl Desks {
    /// Has an order carried out; what became of it. It is carried out even if nobody waits for that any more.
    ///
    /// # Errors
    ///
    /// When nobody carries orders out, or it takes longer than 30 seconds.
    pub async fn order(&self, order: Order) -> io::Result<Vec<Value>> {
        let (asks, said) = oneshot::channel();
        let obeyed = async {
            self.orders.send((order, asks)).await.map_err(io::Error::other)?;
            said.await.map_err(io::Error::other)
        };
        tokio::time::timeout(ORDER_WAIT, obeyed).await?
    }
}

/// Where the socket is in a directory.
pub fn socket(directory: &Path) -> PathBuf {
    directory.join("SOCKET")
}

/// The socket. Its file goes with it.
#[derive(Debug)]
pub struct Entrance {
    listener: UnixListener,
    path: PathBuf,
}

impl Entrance {
    /// Listens at that path: whoever comes from now on waits until somebody answers. None where that cannot be, which the log says: clients
    /// are served all the same.
    pub fn open(path: PathBuf) -> Option<Self> {
        // Left by a process that was killed; the lock beside it says that there is no other.
        let _ = std::fs::remove_file(&path);
        match UnixListener::bind(&path) {
            Ok(listener) => Some(Self { listener, path }),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "no command can ask this gateway while it runs");
                None
            }
        }
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Who answers.
pub struct Answering {
    entrance: Entrance,
    desks: Arc<Desks>,
    answering: FuturesUnordered<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>>,
}

impl std::fmt::Debug for Answering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answering").field("entrance", &self.entrance).finish_non_exhaustive()
    }
}

impl Answering {
    /// Whoever comes through that entrance, by asking at these desks.
    pub fn new(entrance: Entrance, desks: Arc<Desks>) -> Self {
        Self { entrance, desks, answering: FuturesUnordered::new() }
    }

    /// Waits for the next question, or for the end of an answer, and not for long. Cancel-safe.
    pub async fn round(&mut self) {
        tokio::select! {
            Some(answered) = self.answering.next() => if let Err(error) = answered {
                tracing::debug!(%error, "a question was not answered to its end");
            },
            accepted = self.entrance.listener.accept(), if self.answering.len() < QUESTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    let desks = Arc::clone(&self.desks);
                    // A panic is a fault of ours and of one question.
                    let answer = AssertUnwindSafe(async move { answer(stream, &desks).await }).catch_unwind();
                    self.answering.push(Box::pin(answer.map(|said| said.unwrap_or_else(|_| Err(io::Error::other("it panicked"))))));
                }
                Err(error) => {
                    tracing::warn!(%error, "questions of commands cannot be taken");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            },
            () = tokio::time::sleep(ROUND) => {}
        }
    }

    /// Lets nobody in any more. Who stopped the last call is told so.
    pub async fn end(self) {
        let Self { entrance, mut answering, .. } = self;
        drop(entrance);
        let _ = tokio::time::timeout(LAST_WORDS, async { while answering.next().await.is_some() {} }).await;
    }
}

async fn answer(stream: UnixStream, desks: &Desks) -> io::Result<()> {
    let Desks { store, ledger, reload, journal, .. } = desks;
    let (reader, mut writer) = stream.into_split();
    let mut question = String::new();
    let mut reader = BufReader::new(reader.take(QUESTION_BYTES_MAX));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut question)).await??;
    match question.trim() {
        "stats" => {
            let statistics = store.statistics().await.map_err(io::Error::other)?;
            let (mut told, health) = (stats(&statistics), store.health());
            told.insert("errors".to_owned(), health.errors.into());
            if let Some(reason) = health.degraded {
                told.insert("degraded".to_owned(), reason.into());
            }
            send(&mut writer, &format!("{}\n", Value::Object(told))).await?;
        }
        "walk" => {
            journal.note(Event::new(Kind::AdminExport));
            let mut after = None;
            loop {
                let walk = store.walk(after, PAGE_ITEMS).await.map_err(io::Error::other)?;
                let page: String = walk.items.iter().map(|item| format!("{}\n", line(item))).collect();
                send(&mut writer, &page).await?;
                after = walk.next;
                if after.is_none() {
                    break;
                }
            }
        }
        "usage" => {
            let rows: String = ledger().into_iter().map(|row| format!("{}\n", Value::Object(row))).collect();
            send(&mut writer, &rows).await?;
        }
        "reload" => {
            let (asks, said) = oneshot::channel();
            reload.send(asks).await.map_err(io::Error::other)?;
            journal.note(Event::new(Kind::AdminReload).because("socket"));
            let told = match tokio::time::timeout(RELOAD_WAIT, said).await?.map_err(io::Error::other)? {
                Ok(text) => object([("ok", true.into()), ("text", text.into())]),
                Err(text) => object([("ok", false.into()), ("text", text.into())]),
            };
            send(&mut writer, &format!("{}\n", Value::Object(told))).await?;
        }
        order if order.starts_with('{') => {
            let order = serde_json::from_str(order).map_err(io::Error::other)?;
            for told in desks.order(order).await? {
                send(&mut writer, &format!("{told}\n")).await?;
            }
        }
        _ => return Err(io::Error::other("it is none that is known")),
    }
    send(&mut writer, &format!("{END}\n")).await
}

async fn send(writer: &mut tokio::net::unix::OwnedWriteHalf, text: &str) -> io::Result<()> {
    tokio::time::timeout(PATIENCE, writer.write_all(text.as_bytes())).await?
}

/// Counts, for programs.
pub fn stats(statistics: &Statistics) -> Map<String, Value> {
    let by_tenant = statistics.bytes_by_tenant.iter().map(|(tenant, bytes)| (tenant.as_str().to_owned(), Value::from(*bytes)));
    let buckets = statistics.buckets.iter().map(|(bucket, filled)| {
        let counts = [("keys", filled.keys.into()), ("bytes", filled.bytes.into())];
        Value::Object(in_bucket(bucket).into_iter().chain(object(counts)).collect())
    });
    object([
        ("backend", statistics.backend.into()),
        ("sessions", statistics.sessions.into()),
        ("tasks", statistics.tasks.into()),
        ("streams", statistics.streams.into()),
        ("events", statistics.events.into()),
        ("buckets", Value::Array(buckets.collect())),
        ("disk_bytes", statistics.disk_bytes.into()),
        ("bytes_by_tenant", Value::Object(by_tenant.collect())),
    ])
}

/// Something that is stored, as one line of JSON.
pub fn line(item: &Item) -> Value {
    Value::Object(match item {
        Item::Record(partition, record) => {
            let rest = [("expires_ms", record.expires.0.into()), data("data", "data_base64", &record.data)];
            place("record", partition).into_iter().chain(object(rest)).collect()
        }
        Item::Stream(key, header) => {
            let rest = [
                stream(key),
                data("about", "about_base64", &header.about),
                ("last", header.last.0.into()),
                ("gone", header.gone.0.into()),
                ("complete", header.complete.into()),
            ];
            place("stream", &key.partition).into_iter().chain(object(rest)).collect()
        }
        Item::Event(key, event) => {
            let rest =
                [stream(key), ("seq", event.seq.0.into()), ("final", event.is_final.into()), data("data", "data_base64", &event.data)];
            place("event", &key.partition).into_iter().chain(object(rest)).collect()
        }
        Item::Entry(bucket, key, value) => {
            let rest = [("kind", "entry".into()), data("key", "key_base64", key), data("value", "value_base64", value)];
            in_bucket(bucket).into_iter().chain(object(rest)).collect()
        }
        Item::Damaged => object([("kind", "damaged".into())]),
    })
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn place(kind: &str, partition: &Partition) -> Map<String, Value> {
    let space = match partition.space {
        Space::Session => "session",
        Space::Task => "task",
    };
    object([
        ("kind", kind.into()),
        ("tenant", partition.tenant.as_str().into()),
        ("space", space.into()),
        ("id", partition.id_text().into()),
    ])
}

fn in_bucket(bucket: &Bucket) -> Map<String, Value> {
    object([("tenant", bucket.tenant().as_str().into()), ("plugin", bucket.owner().into()), ("bucket", bucket.name().into())])
}

/// As text: the number has more digits than most readers of JSON keep.
fn stream(key: &StreamKey) -> (&'static str, Value) {
    ("stream", key.stream.to_string().into())
}

fn data<'n>(name: &'n str, otherwise: &'n str, data: &[u8]) -> (&'n str, Value) {
    match std::str::from_utf8(data) {
        Ok(text) => (name, text.into()),
        Err(_) => (otherwise, STANDARD.encode(data).into()),
    }
}
