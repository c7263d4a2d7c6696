//! HTTP/1.1 byte by byte, for what no well-behaved client would send.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for the peer.
const LIMIT: Duration = Duration::from_secs(40);

/// A peer that closes does so well before an idle connection would be closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// A raw connection.
pub struct Raw(pub TcpStream);

impl Raw {
    /// Opens one to `127.0.0.1:PORT`.
    pub async fn connect(address: &str) -> Self {
        Self(TcpStream::connect(address).await.expect("the gateway listens"))
    }

    /// The same, with room for next to nothing that is not read.
    pub async fn narrow(address: &str) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a small buffer");
        Self(socket.connect(address.parse().expect("an address")).await.expect("the gateway listens"))
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

    /// Sends the same bytes again and again, with a pause between, until the peer closes; gives what it said.
    pub async fn drip(self, bytes: &[u8], pause: Duration) -> String {
        let (mut reader, mut writer) = self.0.into_split();
        let send = async {
            while writer.write_all(bytes).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
            std::future::pending().await
        };
        let mut answer = Vec::new();
        let read = tokio::time::timeout(LIMIT, reader.read_to_end(&mut answer));
        tokio::select! {
            read = read => drop(read.expect("the peer ends in time")),
            () = send => {}
        }
        String::from_utf8_lossy(&answer).into_owned()
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

/// As [`status`], for an answer after which the peer closes at once.
pub async fn last_status(address: &str, request: impl AsRef<[u8]>) -> u16 {
    let mut raw = Raw::connect(address).await;
    // The peer may have answered and closed before it read everything.
    let _ = raw.0.write_all(request.as_ref()).await;
    status_of(&tokio::time::timeout(CLOSE_LIMIT, raw.rest()).await.expect("the peer closes at once"))
}

/// A request of a head without its `Content-Length`, and of a body.
pub fn message(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("{}\r\nContent-Length: {}\r\n\r\n", head.trim_end().replace('\n', "\r\n"), body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The status in the head of a response; 0 if there is none.
pub fn status_of(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}
