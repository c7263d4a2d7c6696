//! Where spans of requests go.

use super::file::Section;
use super::origin::Origin;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where OTLP over HTTP keeps its traces, under an endpoint.
const PATH: &str = "/v1/traces";

/// A collector of traces, and what it gets.
#[derive(Debug, Clone)]
pub struct TracesConfig {
    /// The URL that spans are posted to, with its path.
    pub url: String,
    /// How many of the traces that begin here are recorded, from 0 to 1.
    pub sample_ratio: f64,
    /// The file with header fields for the collector; it may hold credentials.
    pub headers_file: Option<PathBuf>,
    /// For one post, from the name to the last byte.
    pub timeout: Duration,
    /// Spans that may wait to be sent; further ones are dropped.
    pub queue_max: usize,
}

/// The collector; none where no endpoint is set.
pub(super) fn read(root: &Section<'_, '_>, base: &Path) -> Option<TracesConfig> {
    let traces = root.section("traces");
    let endpoint = traces.parsed("endpoint", endpoint);
    let sample_ratio = traces.ratio("sample_ratio", 1.0);
    let headers_file = traces.text("headers_file");
    let timeout = Duration::from_secs(traces.number("timeout_s", 5, 1..=60));
    let queue_max = usize::try_from(traces.number("queue_max", 8_192, 512..=1_048_576)).unwrap_or(usize::MAX);
    if headers_file.is_some() && endpoint.as_ref().is_some_and(|endpoint| endpoint.is_open) {
        traces.note("headers_file", "would be sent in the clear; take an https:// endpoint, or a collector on this machine");
    }
    let forgotten = !traces.has("endpoint") && ["sample_ratio", "headers_file", "timeout_s", "queue_max"].iter().any(|key| traces.has(key));
    if forgotten {
        traces.note("endpoint", "must be given, such as \"http://127.0.0.1:4318\": without it there are no traces");
    }
    traces.end();
    Some(TracesConfig { url: endpoint?.url, sample_ratio, headers_file: headers_file.map(|file| base.join(file)), timeout, queue_max })
}

struct Endpoint {
    url: String,
    /// Others on the way can read what is sent.
    is_open: bool,
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    const BYTES_MAX: usize = 2_048;
    let wrong =
        || Err("must be like http://127.0.0.1:4318 or https://collector.example.com, without a user, a query and a fragment".to_owned());
    let Some((scheme, rest)) = text.split_once("://") else { return wrong() };
    let authority = rest.split('/').next().unwrap_or_default();
    let plain = text.len() <= BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\' | b'"' | b'<' | b'>'));
    let Some(origin) = Origin::parse(&format!("{scheme}://{authority}")).filter(|origin| origin.is_web() && plain) else { return wrong() };
    let base = text.trim_end_matches('/');
    let url = if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") };
    Ok(Endpoint { url, is_open: !scheme.eq_ignore_ascii_case("https") && !origin.is_loopback() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_appended_once() {
        let url = |text| endpoint(text).map(|endpoint| (endpoint.url, endpoint.is_open)).ok();
        let found = |url: &str, open| Some((url.to_owned(), open));
        assert_eq!(url("http://127.0.0.1:4318"), found("http://127.0.0.1:4318/v1/traces", false));
        assert_eq!(url("http://collector:4318/"), found("http://collector:4318/v1/traces", true));
        assert_eq!(url("https://c.example/otlp"), found("https://c.example/otlp/v1/traces", false));
        assert_eq!(url("https://c.example/v1/traces"), found("https://c.example/v1/traces", false));
        for wrong in ["", "127.0.0.1:4318", "grpc://c:4317", "http://", "https://u:p@c", "https://c?key=1", "https://c/#x", "https://c d"] {
            assert_eq!(url(wrong), None, "{wrong}");
        }
    }
}
