//! A proxy between a client and a gateway that cuts connections at chosen moments of chosen calls.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    None,
    /// The connection is cut after its second progress report.
    Middle,
    /// It is cut in place of its answer.
    End,
    /// In place of its answer the gateway is killed, and started again.
    EndKill,
    /// The gateway is killed after its second progress report.
    MiddleKill,
}

/// The proxy. It counts calls by their answers, so they must come one after the other.
pub struct Cutter {
    /// Where clients go.
    pub address: SocketAddr,
    /// Yields once whenever the gateway is to be killed and started again.
    pub kills: mpsc::Receiver<()>,
}

struct Plan {
    /// Of the calls that are to come; the first is the one in progress.
    cuts: Vec<Cut>,
    at: usize,
}

impl Plan {
    fn take(&mut self, wanted: &[Cut]) -> Option<Cut> {
        let cut = self.cuts.get_mut(self.at).filter(|cut| wanted.contains(cut))?;
        Some(std::mem::replace(cut, Cut::None))
    }
}

impl Cutter {
    /// Stands before the gateway at that address.
    pub async fn before(gateway: String, cuts: Vec<Cut>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (kill, kills) = mpsc::channel(1);
        let plan = Arc::new(Mutex::new(Plan { cuts, at: 0 }));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection(client, gateway.clone(), Arc::clone(&plan), kill.clone()));
            }
        });
        Self { address, kills }
    }
}

async fn connection(client: TcpStream, gateway: String, plan: Arc<Mutex<Plan>>, kill: mpsc::Sender<()>) {
    // As a proxy in front would: while the gateway starts, who comes waits.
    let mut tries = 0;
    let server = loop {
        match TcpStream::connect(&gateway).await {
            Ok(server) => break server,
            Err(_) if tries < 1_000 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(_) => return,
        }
    };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.into_split(), server.into_split());
    let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count) = from_server.read(&mut bytes).await {
        let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
        let answer = text.contains("\"result\"") && text.contains("\"call ") || text.contains("-31011");
        let half = text.contains("\"progress\":2,");
        let cut = {
            let mut plan = plan.lock().expect("not poisoned");
            match (answer, half) {
                (true, _) => plan.take(&[Cut::End, Cut::EndKill]),
                (false, true) => plan.take(&[Cut::Middle, Cut::MiddleKill]),
                (false, false) => None,
            }
        };
        match cut {
            Some(Cut::End) => break,
            Some(Cut::EndKill) => {
                kill.send(()).await.expect("the test waits for it");
                break;
            }
            _ => {}
        }
        if count == 0 || to_client.write_all(&bytes[..count]).await.is_err() {
            break;
        }
        match cut {
            Some(Cut::Middle) => break,
            Some(Cut::MiddleKill) => {
                kill.send(()).await.expect("the test waits for it");
                break;
            }
            _ => {}
        }
        if answer {
            plan.lock().expect("not poisoned").at += 1;
        }
    }
    up.abort();
}
