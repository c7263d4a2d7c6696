//! One request for a JWKS. The server may be anybody: it gets five seconds, may say 256 KiB, and nothing that it says leads elsewhere.

use super::Digest;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use token::limits::JWKS_BYTES_MAX;
use token::{Jwks, KeySet};
use tokio::sync::Semaphore;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// From the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Of the response's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Of the blocking pool's threads, for all issuers together: each may wait for a server for as long as the time-out.
static THREADS: Semaphore = Semaphore::const_new(8);

/// What a server said.
pub(super) enum Fetched {
    /// The text that is known.
    Same,
    /// Another one.
    New { jwks: Jwks, digest: Digest },
}

/// A client that believes these certificates, or the public authorities.
pub(super) fn agent(https: bool, ca: Option<&[u8]>) -> Result<ureq::Agent, String> {
    let roots = match ca {
        None => RootCerts::WebPki,
        Some(pem) => {
            let items = parse_pem(pem).collect::<Result<Vec<_>, _>>().map_err(|error| format!("it is no PEM: {error}"))?;
            let certificates: Vec<_> = items
                .into_iter()
                .filter_map(|item| match item {
                    PemItem::Certificate(certificate) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                return Err("it has no certificate".to_owned());
            }
            RootCerts::new_with_certs(&certificates)
        }
    };
    Ok(ureq::Agent::config_builder()
        .http_status_as_error(false)
        .https_only(https)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        // The environment's proxies are nobody's settings.
        .proxy(None)
        .max_redirects(0)
        .max_response_header_size(HEAD_BYTES_MAX)
        .max_idle_connections(0)
        .timeout_global(Some(TIMEOUT))
        .user_agent("gatehouse")
        .build()
        .into())
}

/// Asks for the set.
pub(super) async fn get(agent: &ureq::Agent, url: &str, known: Option<Digest>) -> Result<Fetched, String> {
    let thread = THREADS.acquire().await.map_err(|error| error.to_string())?;
    let (agent, url) = (agent.clone(), url.to_owned());
    let fetching = tokio::task::spawn_blocking(move || {
        // Held to the end of the thread's work, also if nobody waits for it any more.
        let _thread = thread;
        read(&agent, &url, known)
    });
    fetching.await.unwrap_or_else(|error| Err(format!("the fetch broke off: {error}")))
}

fn read(agent: &ureq::Agent, url: &str, known: Option<Digest>) -> Result<Fetched, String> {
    // A server writes some of these texts.
    let failed = |error: ureq::Error| mcp::text::line(&error.to_string(), 200);
    let mut response = agent.get(url).header("accept", "application/jwk-set+json, application/json").call().map_err(failed)?;
    if response.status() != 200 {
        return Err(format!("the answer is {} and not 200", response.status().as_u16()));
    }
    let body = response.body_mut().with_config().limit(JWKS_BYTES_MAX as u64).read_to_vec().map_err(failed)?;
    let digest = Sha256::digest(&body).into();
    if known == Some(digest) {
        return Ok(Fetched::Same);
    }
    let jwks = KeySet::from_jwks(&body).map_err(|fault| fault.to_string())?;
    Ok(Fetched::New { jwks, digest })
}
