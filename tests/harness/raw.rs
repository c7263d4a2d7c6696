//! HTTP/1.1 byte by byte, for what no well-behaved client would send.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for the peer.
const LIMIT: Duration = Duration::from_secs(40);

/// A raw connection.
pub struct Raw(pub TcpStream);

impl Raw {
    /// Opens one to `127.0.0.1:PORT`.
    pub async fn connect(address: &str) -> Self {
        Self(TcpStream::connect(address).await.expect("the gateway listens"))
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("the connection is open");
    }

    /// Reads until the peer closes.
    pub async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset after the answer is as good an end as a close.
        let _ = tokio::time::timeout(LIMIT, self.0.read_to_end(&mut bytes)).await.expect("the peer ends in time");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads the head of one response.
    pub async fn head(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(LIMIT, self.0.read_u8()).await.expect("the peer answers in time");
            match byte {
                Ok(byte) => bytes.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Sends one request on a connection of its own and gives the status of the answer; 0 if it was closed without one.
pub async fn status(address: &str, request: impl AsRef<[u8]>) -> u16 {
    let mut raw = Raw::connect(address).await;
    raw.send(request).await;
    status_of(&raw.head().await)
}

/// The status in the head of a response; 0 if there is none.
pub fn status_of(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}
