//! HTTP/2 frame by frame, for what no well-behaved client would send. Header fields are written without compression.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for a frame.
const LIMIT: Duration = Duration::from_secs(20);

/// Frame types and flags (RFC 9113, 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// `REFUSED_STREAM`: the request was not looked at and may be sent again.
pub const REFUSED_STREAM: u32 = 7;

/// A raw connection.
pub struct Http2(TcpStream);

/// A frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Http2 {
    /// Opens one to `127.0.0.1:PORT` and sends the preface.
    pub async fn connect(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("the gateway listens");
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("the connection is open");
        let mut connection = Self(stream);
        // All as they are by default.
        assert!(connection.send(SETTINGS, 0, 0, &[]).await, "the connection is open");
        connection
    }

    /// Sends a frame; false if the peer has closed the connection.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let mut frame = u32::try_from(payload.len()).expect("a frame").to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.is_ok()
    }

    /// The next frame; none if the peer has closed the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        tokio::time::timeout(LIMIT, async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let [a, b, c, kind, _flags, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            Some(Frame { kind, stream: u32::from_be_bytes(stream), payload })
        })
        .await
        .expect("the peer answers in time")
    }

    /// The next frame of one of these types.
    pub async fn next_of(&mut self, kinds: &[u8]) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if kinds.contains(&frame.kind) {
                return Some(frame);
            }
        }
    }
}

impl Frame {
    /// Whether it is the head of a response with status 200, which has an index of its own (RFC 7541, A).
    pub fn is_ok(&self) -> bool {
        self.kind == HEADERS && self.payload.first() == Some(&0x88)
    }

    /// The error code of `RST_STREAM`.
    pub fn reset_code(&self) -> Option<u32> {
        (self.kind == RST_STREAM).then(|| u32::from_be_bytes(self.payload[..].try_into().expect("four bytes")))
    }
}

/// Fields as a header block: literals that are not to be indexed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of 7 bits (RFC 7541, 5.1).
pub fn integer(block: &mut Vec<u8>, value: usize) {
    if value < 127 {
        block.push(value as u8);
        return;
    }
    block.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}
