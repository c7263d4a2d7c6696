//! Where the operator is served.

use super::file::Section;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A listener for the operator.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// An address of this machine alone.
    pub listen: SocketAddr,
    /// The file with the token that its callers show.
    pub token_file: PathBuf,
}

/// The listener, if the section is there: then both settings are needed. `public` is where clients are served.
pub(super) fn read(root: &Section<'_, '_>, base: &Path, public: SocketAddr) -> Option<AdminConfig> {
    let configured = root.has("admin");
    let admin = root.section("admin");
    let address =
        |text: &str| text.parse::<SocketAddr>().map_err(|_| "must be an address with a port, such as \"127.0.0.1:9090\"".to_owned());
    let (listen, token_file) = (admin.parsed("listen", address), admin.text("token_file"));
    if configured && !admin.has("listen") {
        admin.note("listen", "must be given, such as \"127.0.0.1:9090\"");
    }
    if configured && !admin.has("token_file") {
        admin.note("token_file", "must be given: whoever reaches the listener and shows no token is told nothing");
    }
    if let Some(listen) = listen {
        if !listen.ip().is_loopback() {
            admin.note(
                "listen",
                format!("{listen} can be reached from other machines; the admin listener is for this one: take 127.0.0.1 or [::1], and let a proxy or a tunnel bring others there"),
            );
        } else if clashes(listen, public) {
            admin.note("listen", format!("is where clients are served ({public}); take another port"));
        }
    }
    admin.end();
    Some(AdminConfig { listen: listen?, token_file: base.join(token_file?) })
}

/// Whether two listeners cannot both be there. Port 0 is a free one.
fn clashes(admin: SocketAddr, public: SocketAddr) -> bool {
    let same_address = admin.ip() == public.ip() || public.ip().is_unspecified();
    admin.port() != 0 && admin.port() == public.port() && same_address
}
