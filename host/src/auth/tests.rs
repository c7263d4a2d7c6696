//! T28: whatever goes wrong on the way to a caller, nobody becomes the anonymous one.

use super::*;
use crate::config::{IssuerConfig, JwksUrl, KeysConfig, TenantOf, TokenConfig};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

fn config(jwks_url: &str) -> TokenConfig {
    let second = Duration::from_secs(1);
    let settings = JwksUrl { url: jwks_url.to_owned(), ca_file: None, refresh: second, grace: second };
    let issuer = IssuerConfig {
        name: "one".to_owned(),
        issuer: "https://one.example".to_owned(),
        keys: KeysConfig::JwksUrl(settings),
        audiences: Vec::new(),
        access_tokens_only: false,
        leeway_s: 30,
        lifetime_max_s: 600,
        tenant: TenantOf::One(TenantId::default()),
    };
    TokenConfig { public_url: "https://gate.example".to_owned(), issuers: vec![issuer], keys: Vec::new(), policies: Vec::new() }
}

/// A token of that issuer, as far as can be seen without its keys.
fn header(kid: &str) -> Vec<u8> {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let head = part(&format!("{{\"alg\":\"EdDSA\"{kid}}}"));
    format!("Bearer {head}.{}.{}", part("{\"iss\":\"https://one.example\"}"), part(&"x".repeat(64))).into_bytes()
}

async fn unknown(bearer: &Bearer, header: &[u8]) -> Unknown {
    bearer.verify("/mcp", std::iter::once(header)).await.map(|known| panic!("{known:?}")).unwrap_err()
}

/// A place where nobody listens, for as long as the test has it.
fn nobody() -> (std::net::TcpStream, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    // The own end of a connection: its port is taken and refuses others.
    let address = stream.local_addr().unwrap();
    (stream, address)
}

#[tokio::test]
async fn without_keys_nobody_is_known() {
    let (_place, address) = nobody();
    let bearer = Bearer::load(&config(&format!("http://{address}/")), None).unwrap();
    let keeping = bearer.keep_keys();
    let asking = async {
        for kid in [",\"kid\":\"a\"", ""] {
            assert_eq!(unknown(&bearer, &header(kid)).await, Unknown::NoKeys, "{kid}");
        }
        assert!(matches!(unknown(&bearer, b"Bearer x").await, Unknown::Refused(_)));
        assert!(matches!(unknown(&bearer, b"").await, Unknown::Refused(_)));
        let none = bearer.verify("/mcp", std::iter::empty()).await;
        assert_eq!(none.unwrap_err(), Unknown::NoToken);
        assert_eq!((bearer.issuers_awaited(), bearer.issuers_without_keys()), (1, 1));
    };
    tokio::select! {
        () = keeping => panic!("it goes on without end"),
        () = asking => {}
    }
}

/// Whoever waits for a fetch that nobody makes waits for so long and no longer.
#[tokio::test]
async fn a_wait_for_keys_has_an_end() {
    let bearer = Bearer::load(&config("http://127.0.0.1:9/"), None).unwrap();
    let began = Instant::now();
    assert_eq!(unknown(&bearer, &header("")).await, Unknown::NoKeys);
    let took = began.elapsed();
    assert!((Duration::from_millis(4_900)..Duration::from_secs(8)).contains(&took), "{took:?}");
}

/// A reload keeps what was fetched of an issuer whose settings are the same, and nothing of another.
#[tokio::test]
async fn what_was_fetched_outlives_a_reload() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4_096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{\"keys\":[]}").unwrap();
    });
    let before = Bearer::load(&config(&url), None).unwrap();
    let fetched = async {
        while before.issuers_awaited() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = before.keep_keys() => panic!("it goes on without end"),
        () = fetched => {}
    }
    serving.join().unwrap();
    let same = Bearer::load(&config(&url), Some(&before)).unwrap();
    assert_eq!((same.issuers_awaited(), same.issuers_without_keys()), (0, 0));
    let other = Bearer::load(&config(&format!("{url}other")), Some(&before)).unwrap();
    // A gateway that works waits for nobody.
    assert_eq!((other.issuers_awaited(), other.issuers_without_keys()), (0, 1));
}
