//! From a host to a connection: its addresses are found here, each of them is looked at, and one of these very addresses is connected to. So a
//! name that says one thing when it is looked at and another thing when it is used gains nothing.

use super::address;
use super::means::OfGrant;
use rustls::pki_types::ServerName;
use sandbox::{HttpFault, HttpHost, HttpScheme, Network};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Addresses of one name that are tried, one after the other, and for how long each.
const ADDRESSES_MAX: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Connects. The caller bounds the time.
///
/// # Errors
///
/// When there is no such host, one of its addresses may not be connected to, none takes the connection, or it cannot prove its name.
pub(super) async fn dial(
    lookups: &Arc<Semaphore>,
    (host, port): (&HttpHost, u16),
    (scheme, means): (HttpScheme, &OfGrant),
    named: &[Network],
) -> Result<Stream, HttpFault> {
    let addresses = addresses(lookups, host, port).await?;
    // One of them is enough: who answers with two kinds of address is not to be trusted with either.
    if !addresses.iter().all(|found| address::is_allowed(found.ip(), named)) {
        return Err(HttpFault::Denied("address"));
    }
    let stream = connect(&addresses).await?;
    match scheme {
        HttpScheme::Http => Ok(Stream::Plain(stream)),
        HttpScheme::Https => {
            let name = match host {
                HttpHost::Name(name) => ServerName::try_from(name.to_string()).map_err(|_| HttpFault::NoTrust)?,
                HttpHost::Address(address) => ServerName::IpAddress((*address).into()),
            };
            let stream = TlsConnector::from(Arc::clone(&means.tls)).connect(name, stream).await;
            Ok(Stream::Tls(Box::new(stream.map_err(|_| HttpFault::NoTrust)?)))
        }
    }
}

async fn addresses(lookups: &Arc<Semaphore>, host: &HttpHost, port: u16) -> Result<Vec<SocketAddr>, HttpFault> {
    let name = match host {
        HttpHost::Address(address) => return Ok(vec![SocketAddr::new(*address, port)]),
        HttpHost::Name(name) => name,
    };
    let turn = Arc::clone(lookups).acquire_owned().await.map_err(|_| HttpFault::NoHost)?;
    let name = name.to_string();
    let looking = tokio::task::spawn_blocking(move || {
        // Held to the end of the thread's work, also if nobody waits for it any more.
        let _turn = turn;
        (name, port).to_socket_addrs().map(Vec::from_iter)
    });
    let found = looking.await.map_err(|_| HttpFault::NoHost)?.map_err(|_| HttpFault::NoHost)?;
    if found.is_empty() { Err(HttpFault::NoHost) } else { Ok(found) }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, HttpFault> {
    for address in addresses.iter().take(ADDRESSES_MAX) {
        if let Ok(Ok(stream)) = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            // Small requests are not to wait for larger ones.
            let _ = stream.set_nodelay(true);
            return Ok(stream);
        }
    }
    Err(HttpFault::NoConnection)
}

/// A connection, with TLS or without.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
