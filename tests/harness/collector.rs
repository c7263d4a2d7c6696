//! A collector of traces: takes what a gateway posts, and reads it by OpenTelemetry's own definitions.

use super::eventually;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span as Wire, span::SpanKind};
use prost::Message;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(20);

/// One span, as it is compared.
#[derive(Clone, Debug)]
pub struct Span {
    /// 32 hexadecimal digits.
    pub trace: String,
    /// 16 hexadecimal digits.
    pub id: String,
    /// Of its parent; empty for the first of a trace.
    pub parent: String,
    pub name: String,
    pub is_server: bool,
    pub failed: bool,
    pub state: String,
    pub flags: u32,
    pub began_ns: u64,
    pub ended_ns: u64,
    /// Numbers and flags as text.
    pub attributes: BTreeMap<String, String>,
}

impl Span {
    /// An attribute; empty where it is not there.
    pub fn of(&self, key: &str) -> &str {
        self.attributes.get(key).map(String::as_str).unwrap_or_default()
    }
}

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Everything,
    /// Another status.
    Nothing(u16),
    /// It reads and says nothing.
    Silently,
}

#[derive(Default)]
struct Got {
    spans: Vec<Span>,
    /// What was posted, byte for byte: heads and bodies.
    bytes: Vec<u8>,
    posts: usize,
    attributes: BTreeMap<String, String>,
}

/// A collector that runs until the test ends.
pub struct Collector {
    address: SocketAddr,
    got: Arc<Mutex<Got>>,
}

impl Collector {
    pub async fn start(takes: Takes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let got = Arc::<Mutex<Got>>::default();
        let sink = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = Arc::clone(&sink);
                tokio::spawn(async move { drop(serve(stream, takes, sink).await) });
            }
        });
        Self { address, got }
    }

    /// The section that sends traces here.
    pub fn settings(&self, more: &str) -> String {
        format!("[traces]\nendpoint = \"http://{}\"\n{more}\n", self.address)
    }

    /// Everything that came so far, as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.got.lock().expect("not poisoned").bytes.clone()
    }

    /// Posts so far.
    pub fn posts(&self) -> usize {
        self.got.lock().expect("not poisoned").posts
    }

    /// What the process says of itself.
    pub fn process(&self) -> BTreeMap<String, String> {
        self.got.lock().expect("not poisoned").attributes.clone()
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.got.lock().expect("not poisoned").spans.clone()
    }

    /// The spans of a trace, once that of its request is there for which `is` holds: the last one to end.
    pub async fn trace(&self, what: &str, is: impl Fn(&Span) -> bool) -> Trace {
        eventually(what, SOON, async || {
            let spans = self.spans();
            let request = spans.iter().find(|span| span.is_server && is(span))?.clone();
            let parts = spans.into_iter().filter(|span| span.trace == request.trace && !span.is_server).collect();
            Some(Trace { request, parts })
        })
        .await
    }
}

/// A request and its parts.
#[derive(Debug)]
pub struct Trace {
    pub request: Span,
    pub parts: Vec<Span>,
}

impl Trace {
    /// The parts of a name, in the order in which they ended.
    pub fn all(&self, name: &str) -> Vec<&Span> {
        self.parts.iter().filter(|span| span.name == name).collect()
    }

    /// The only one of that name.
    pub fn part(&self, name: &str) -> &Span {
        match self.all(name)[..] {
            [span] => span,
            _ => panic!("not one `{name}` in {self:#?}"),
        }
    }

    /// How many parts of each name there are.
    pub fn names(&self) -> BTreeMap<&str, usize> {
        let mut names = BTreeMap::new();
        self.parts.iter().for_each(|span| *names.entry(span.name.as_str()).or_default() += 1);
        names
    }
}

async fn serve(stream: TcpStream, takes: Takes, got: Arc<Mutex<Got>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_until(b'\n', &mut head).await? == 0 {
                return Ok(());
            }
        }
        let text = String::from_utf8_lossy(&head).to_lowercase();
        assert!(text.starts_with("post /v1/traces http/1.1\r\n") && text.contains("content-type: application/x-protobuf\r\n"), "{text}");
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok()).expect("a length");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let request = ExportTraceServiceRequest::decode(&*body).expect("OTLP");
        {
            let mut got = got.lock().expect("not poisoned");
            got.posts += 1;
            got.bytes.extend(head.iter().chain(&body));
            for resource in request.resource_spans {
                got.attributes = attributes(resource.resource.unwrap_or_else(Resource::default).attributes);
                got.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans).map(read));
            }
        }
        match takes {
            Takes::Everything => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?,
            Takes::Nothing(status) => stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes()).await?,
            Takes::Silently => {}
        }
    }
}

fn read(span: Wire) -> Span {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
    Span {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        is_server: span.kind() == SpanKind::Server,
        failed: span.status.as_ref().is_some_and(|status| status.code == 2),
        state: span.trace_state,
        flags: span.flags,
        began_ns: span.start_time_unix_nano,
        ended_ns: span.end_time_unix_nano,
        name: span.name,
        attributes: attributes(span.attributes),
    }
}

fn attributes(pairs: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => panic!("an attribute of another kind: {other:?}"),
    };
    let count = pairs.len();
    let read: BTreeMap<_, _> = pairs.into_iter().map(|pair| (pair.key, text(pair.value))).collect();
    assert_eq!(read.len(), count, "each key once: {read:?}");
    read
}
