//! A server that plugins send requests to. It does what a path says, and remembers what it was sent.

use super::eventually;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A page as pages are: with a menu, a script, tags that are never closed or closed in another order.
const ARTICLE: &str = r##"<!doctype html><html><head><title> Tide &amp;
  time</title><style>p { color: red }</style></head>
<body><nav><ul><li><a href="/">Home</a></ul></nav><svg><title>no</title></svg>
<p>The <em>gate</em> opens <b>twice
a day</b>, see <a href="tides?at=2#now"> the table</a>, <code>a_b</code> and *this*.<br>It closes <a href="javascript:x()">on its</a> own.
<script>document.write("<p>nothing</p>");</script>
<ol><li>First<ul><li>under it<li>and <b>so<i></b></i></ul><li>Second</ol>
<blockquote><p>No gate<p>without a house.</blockquote>
<pre><code class="hl language-sh">open --gate  &lt;now&gt;
</code></pre>
<table><tr><th>Day<th>High</tr><tr><td>Monday</td><td>06:12 | 18:40</table>
<img src="img/gate one.png" alt="A gate"><img src="dot.gif"><p># not a heading</p>
<footer>All rights</footer></body></html>"##;

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request line and the fields.
    pub head: String,
}

impl Received {
    /// The value of a field; none where it is not there, and all of them where it is there more than once.
    pub fn field(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let values: Vec<_> = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect();
        (!values.is_empty()).then(|| values.join(" and "))
    }

    /// The names of all fields.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.head.lines().skip(1).filter_map(|line| Some(line.split_once(": ")?.0)).collect();
        names.sort_unstable();
        names
    }
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<Received>,
}

/// A server that runs until the test ends.
pub struct Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Upstream {
    /// In the clear.
    pub async fn plain() -> Self {
        Self::start(None).await
    }

    /// With TLS, by a certificate for these names or addresses; and the authority that counts for it, in PEM.
    pub async fn tls(names: &[&str]) -> (Self, String) {
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&key).expect("signed");
        let own = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("names");
        let leaf = leaf.signed_by(&own, &Issuer::new(authority, key)).expect("signed");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)
            .expect("a certificate");
        (Self::start(Some(TlsAcceptor::from(Arc::new(config)))).await, root.pem())
    }

    async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let seen = Arc::<Mutex<Seen>>::default();
        let sink = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                sink.lock().expect("not poisoned").connections += 1;
                // Whoever goes away in the middle is no concern of the test's.
                tokio::spawn(serve(stream, tls.clone(), Arc::clone(&sink)));
            }
        });
        Self { address, seen }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections so far.
    pub fn came(&self) -> usize {
        self.seen.lock().expect("not poisoned").connections
    }

    /// Requests so far.
    pub fn requests(&self) -> Vec<Received> {
        self.seen.lock().expect("not poisoned").requests.clone()
    }

    /// The last one of so many, once it is there.
    pub async fn request(&self, count: usize) -> Received {
        eventually("a request at the server", Duration::from_secs(10), async || {
            let requests = self.requests();
            (requests.len() >= count).then(|| requests.last().cloned()).flatten()
        })
        .await
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, seen: Arc<Mutex<Seen>>) {
    match tls {
        None => drop(answer(stream, seen).await),
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                drop(answer(stream, seen).await);
            }
        }
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: Arc<Mutex<Seen>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 1 << 20 {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let received = Received { head: head.clone() };
    let length = received.field("content-length").and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    if received.field("transfer-encoding").is_some() {
        let mut end = Vec::new();
        while !end.ends_with(b"0\r\n\r\n") {
            end.push(stream.read_u8().await?);
        }
        body = end;
    }
    let size = body.len();
    seen.lock().expect("not poisoned").requests.push(received);
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let whole = |status: &str, more: &str, body: &str| format!("HTTP/1.1 {status}\r\n{more}content-length: {}\r\n\r\n{body}", body.len());
    const OPEN: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    match path.split('?').next().unwrap_or_default() {
        "/size" => stream.write_all(whole("200 OK", "", &size.to_string()).as_bytes()).await?,
        "/redirect" => {
            let location = "location: http://169.254.169.254/latest/meta-data/\r\n";
            stream.write_all(whole("302 Found", location, "elsewhere").as_bytes()).await?;
        }
        // Says that it is large, and is.
        "/gib" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n").await?;
            for _ in 0..16_384 {
                stream.write_all(&[b'x'; 65_536]).await?;
            }
        }
        // Does not say how large it is.
        "/endless" => {
            stream.write_all(OPEN).await?;
            loop {
                stream.write_all(&[b'x'; 65_536]).await?;
            }
        }
        "/drip" => {
            stream.write_all(OPEN).await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        "/silence" => drop(stream.read_u8().await),
        "/heads" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(b"x-more: and more\r\n").await?;
            }
        }
        // Pages, and what readers of pages come across.
        "/moved" => stream.write_all(whole("301 Moved Permanently", "location: a/../article?x#y\r\n", "").as_bytes()).await?,
        "/circle" => stream.write_all(whole("302 Found", "location: /circle\r\n", "").as_bytes()).await?,
        "/article" => stream.write_all(whole("200 OK", "content-type: text/html; charset=UTF-8\r\n", ARTICLE).as_bytes()).await?,
        "/long" => stream.write_all(whole("200 OK", "", &format!("<title>Long</title>{}", "word ".repeat(400))).as_bytes()).await?,
        "/plain" => stream.write_all(whole("200 OK", "content-type: text/plain\r\n", "<b>as it is</b>").as_bytes()).await?,
        "/picture" => stream.write_all(whole("200 OK", "content-type: image/png\r\n", "none").as_bytes()).await?,
        "/script" => stream.write_all(whole("200 OK", "content-type: text/html\r\n", "<script>'</p>text'</script>").as_bytes()).await?,
        // Looks packed; whoever unpacks it is told a lie.
        "/packed" => stream.write_all(whole("200 OK", "content-encoding: gzip\r\n", "not really").as_bytes()).await?,
        "/status" => stream.write_all(whole("404 Not Found", "x-kind: missing\r\n", "nothing here").as_bytes()).await?,
        _ => stream.write_all(whole("200 OK", "x-kind: fine\r\n", "hello").as_bytes()).await?,
    }
    stream.shutdown().await
}
