//! The thread that sends spans: OTLP over HTTP, in protobuf.
//!
//! A post that fails is not repeated: what it had is dropped and counted. So a collector that cannot be reached costs one thread's time, and a line
//! in the log now and then.

use super::headers::Headers;
use super::otlp::{
    AnyValue, ExportTraceServiceRequest, ExportTraceServiceResponse, InstrumentationScope, KeyValue, Resource, ResourceSpans, ScopeSpans,
    Span, SpanKind, SpanStatus, Status, Value as Sent,
};
use super::queue::{BATCH, Queue};
use super::span::{Ended, Kind, Value};
use crate::config::TracesConfig;
use crate::metrics;
use prost::Message as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use ureq::tls::{RootCerts, TlsConfig};

/// Between two lines about a collector that takes nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// Of the answer's head, and of its body.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Flags of a span whose trace is recorded (W3C), which says whether its parent is remote, and one whose parent is.
const SAMPLED_AND_SAID: u32 = 0x101;
const REMOTE: u32 = 0x200;

pub(super) struct Exporter {
    agent: ureq::Agent,
    url: String,
    headers: Headers,
    resource: Resource,
    /// The last line about a collector that takes nothing; none since it last took something.
    complained: Option<Instant>,
    /// Dropped since that line.
    unsaid: u64,
}

impl Exporter {
    /// # Errors
    ///
    /// When the system has no randomness.
    pub(super) fn new(config: &TracesConfig, headers: Headers) -> Result<Self, getrandom::Error> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(TlsConfig::builder().root_certs(RootCerts::WebPki).build())
            // The environment's proxies are nobody's settings.
            .proxy(None)
            .max_redirects(0)
            .max_response_header_size(ANSWER_BYTES_MAX)
            .max_idle_connections(1)
            .timeout_global(Some(config.timeout))
            .user_agent("gatehouse")
            .build()
            .into();
        let mut instance = [0; 16];
        getrandom::fill(&mut instance)?;
        // As a UUID of version 4, which is what the conventions ask for.
        let id = (u128::from_be_bytes(instance) & !(0xf << 76 | 0x3 << 62)) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{id:032x}");
        let groups: Vec<_> = [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().filter_map(|group| hex.get(group)).collect();
        let attributes = [
            ("service.name", "gatehouse".to_owned()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id", groups.join("-")),
        ];
        let attributes = attributes.into_iter().map(|(key, text)| attribute(key, Sent::Text(text))).collect();
        let resource = Resource { attributes };
        Ok(Self { agent, url: config.url.clone(), headers, resource, complained: None, unsaid: 0 })
    }

    /// Sends until the queue ends.
    pub(super) fn run(mut self, queue: &Queue) {
        while let Some(mut spans) = queue.take() {
            while !spans.is_empty() {
                let rest = spans.split_off(spans.len().min(BATCH));
                self.send(std::mem::replace(&mut spans, rest));
            }
        }
    }

    fn send(&mut self, spans: Vec<Ended>) {
        let count = spans.len() as u64;
        let (lost, reason) = match self.post(self.request(spans).encode_to_vec()) {
            Ok(None) => {
                if self.complained.take().is_some() {
                    tracing::info!("the collector takes spans again");
                }
                return;
            }
            Ok(Some((rejected, reason))) => (rejected.min(count), reason),
            Err(reason) => (count, reason),
        };
        metrics::SPANS_DROPPED.add(lost);
        self.unsaid = self.unsaid.saturating_add(lost);
        if self.complained.is_none_or(|at| at.elapsed() >= SILENCE) {
            tracing::warn!(reason, spans = self.unsaid, "the collector of traces did not take spans; they are dropped");
            (self.complained, self.unsaid) = (Some(Instant::now()), 0);
        }
    }

    /// How many of them the collector says that it refused, and why.
    fn post(&self, body: Vec<u8>) -> Result<Option<(u64, String)>, String> {
        // A server writes some of these texts.
        let line = |text: &str| mcp::text::line(text, 200);
        let failed = |error: ureq::Error| line(&error.to_string());
        let post = self.agent.post(&self.url).header("content-type", "application/x-protobuf");
        let post = self.headers.iter().fold(post, |post, (name, value)| post.header(name, value));
        let mut response = post.send(&body[..]).map_err(failed)?;
        if response.status() != 200 {
            return Err(format!("the answer is {} and not 200", response.status().as_u16()));
        }
        let answer = response.body_mut().with_config().limit(ANSWER_BYTES_MAX as u64).read_to_vec().map_err(failed)?;
        // Some answer in JSON, or with nothing.
        let said = ExportTraceServiceResponse::decode(&*answer).ok().and_then(|answer| answer.partial_success);
        let rejected = said.and_then(|said| Some((u64::try_from(said.rejected_spans).ok()?, line(&said.error_message))));
        Ok(rejected.filter(|(rejected, _)| *rejected > 0))
    }

    fn request(&self, spans: Vec<Ended>) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope { name: "gatehouse".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let spans = ScopeSpans { scope: Some(scope), spans: spans.into_iter().map(wire).collect() };
        let spans = ResourceSpans { resource: Some(self.resource.clone()), scope_spans: vec![spans] };
        ExportTraceServiceRequest { resource_spans: vec![spans] }
    }
}

fn wire(span: Ended) -> Span {
    let nanos =
        |at: SystemTime| at.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default();
    let value = |value| match value {
        Value::Text(text) => Sent::Text(text.into_owned()),
        Value::Number(number) => Sent::Number(i64::try_from(number).unwrap_or(i64::MAX)),
        Value::Flag(flag) => Sent::Flag(flag),
    };
    let kind = match span.kind {
        Kind::Server => SpanKind::Server,
        Kind::Internal => SpanKind::Internal,
        Kind::Client => SpanKind::Client,
    };
    Span {
        trace_id: span.place.trace.to_be_bytes().to_vec(),
        span_id: span.place.span.to_be_bytes().to_vec(),
        trace_state: span.state.as_deref().unwrap_or_default().to_owned(),
        parent_span_id: span.parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        flags: if span.is_remote { SAMPLED_AND_SAID | REMOTE } else { SAMPLED_AND_SAID },
        name: span.name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: nanos(span.began),
        end_time_unix_nano: nanos(span.ended),
        attributes: span.attributes.into_iter().map(|(key, given)| attribute(key, value(given))).collect(),
        status: span.failed.then(|| Status { code: SpanStatus::Error.into() }),
    }
}

fn attribute(key: &str, value: Sent) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::span::tests::ended;

    #[test]
    fn a_span_is_written_whole() {
        let span = ended("guest");
        let (trace, id) = (span.place.trace, span.place.span);
        let written = wire(Ended { parent: Some(1), is_remote: true, state: Some("a=1".into()), ..span });
        assert_eq!((&*written.trace_id, &*written.span_id), (&trace.to_be_bytes()[..], &id.to_be_bytes()[..]));
        assert_eq!((&*written.parent_span_id, &*written.trace_state, written.flags), (&[0, 0, 0, 0, 0, 0, 0, 1][..], "a=1", 0x301));
        assert_eq!((&*written.name, written.kind(), written.attributes.len()), ("guest", SpanKind::Internal, 3));
        assert_eq!(written.status.map(|status| status.code()), Some(SpanStatus::Error));
        assert!(written.start_time_unix_nano > 1_600_000_000_000_000_000);
    }
}
