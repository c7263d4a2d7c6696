//! A server of keys that says whatever a test wants, and counts who came.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// What it says to everybody who comes.
#[derive(Clone, Debug)]
pub enum Says {
    /// A body, with status 200.
    Body(String),
    /// A body with another status.
    Status(u16, String),
    /// A place to go to instead.
    Redirect(u16, String),
    /// So many bytes of body as JSON that would be a set of keys.
    Huge(usize),
    /// A body without end, as fast as it is taken.
    Endless,
    /// Header fields without end.
    EndlessHead,
    /// A body of which a byte comes now and then.
    Drip,
    /// Nothing, and the connection stays.
    Silence,
    /// Nothing, and the connection ends.
    HangUp,
    /// Half of the body that its head promises.
    Half(String),
    /// What is no HTTP.
    Noise,
}

/// A place that nobody listens at, until somebody does.
pub struct Reserved(TcpSocket);

/// A server that runs until the test ends.
pub struct JwksServer {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
    came: Arc<AtomicUsize>,
}

impl Reserved {
    /// A port of our own: who connects is refused.
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        Self(socket)
    }

    /// Where it will be.
    pub fn url(&self) -> String {
        format!("http://{}/keys", self.0.local_addr().expect("bound"))
    }

    /// Listens.
    pub fn open(self, says: Says) -> JwksServer {
        let listener = self.0.listen(1_024).expect("it listens");
        let server = JwksServer {
            address: listener.local_addr().expect("bound"),
            says: Arc::new(Mutex::new(says)),
            came: Arc::new(AtomicUsize::new(0)),
        };
        tokio::spawn(serve(listener, Arc::clone(&server.says), Arc::clone(&server.came)));
        server
    }
}

impl JwksServer {
    /// One that says this.
    pub fn start(says: Says) -> Self {
        Reserved::new().open(says)
    }

    /// Where its keys are.
    pub fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// Says something else from now on.
    pub fn say(&self, says: Says) {
        *self.says.lock().expect("not poisoned") = says;
    }

    /// Connections so far.
    pub fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, says: Arc<Mutex<Says>>, came: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        came.fetch_add(1, Ordering::SeqCst);
        let says = says.lock().expect("not poisoned").clone();
        // Whoever goes away in the middle is no concern of the test's.
        tokio::spawn(async move { drop(answer(stream, says).await) });
    }
}

async fn answer(mut stream: TcpStream, says: Says) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 16_384 {
        head.push(stream.read_u8().await?);
    }
    let whole = |status: u16, more: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n{more}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"keys\":[],\"x\":\"";
    match says {
        Says::Body(body) => stream.write_all(whole(200, "", &body).as_bytes()).await?,
        Says::Status(status, body) => stream.write_all(whole(status, "", &body).as_bytes()).await?,
        Says::Redirect(status, to) => stream.write_all(whole(status, &format!("location: {to}\r\n"), "").as_bytes()).await?,
        Says::Huge(bytes) => {
            let body = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(bytes));
            stream.write_all(whole(200, "", &body).as_bytes()).await?;
        }
        Says::Endless => {
            stream.write_all(ENDLESS).await?;
            loop {
                stream.write_all(&[b'x'; 65_536]).await?;
            }
        }
        Says::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(b"x-more: and more\r\n").await?;
            }
        }
        Says::Drip => {
            stream.write_all(ENDLESS).await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        // Until the peer ends it.
        Says::Silence => drop(stream.read_u8().await),
        Says::HangUp => {}
        Says::Half(body) => {
            let whole = whole(200, "", &body);
            stream.write_all(&whole.as_bytes()[..whole.len() - body.len() / 2]).await?;
        }
        Says::Noise => stream.write_all(b"\x16\x03\x01\x02\x00nothing\r\n\r\n").await?,
    }
    stream.shutdown().await
}
