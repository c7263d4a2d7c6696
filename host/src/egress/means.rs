//! What grants name that is no plain data: certificates that count, and credentials. It is read with the settings, and has everything or there is
//! none of it.

use crate::config::{Config, CredentialConfig, HttpGrant, read_secret};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use sandbox::{HttpFault, HttpHost, HttpScheme};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A certificate file may have this many bytes, and a credential so many.
const CA_BYTES_MAX: u64 = 1 << 20;
const CREDENTIAL_BYTES_MAX: u64 = 8 << 10;

/// A file that a grant names cannot be used. Says neither what is in it nor where it is.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct MeansError {
    setting: String,
    reason: String,
}

/// The means of all grants, by their names.
#[derive(Default)]
pub struct Means(HashMap<Arc<str>, Arc<OfGrant>>);

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The means of one grant.
pub(super) struct OfGrant {
    pub(super) tls: Arc<ClientConfig>,
    credentials: Vec<Credential>,
}

struct Credential {
    host: HttpHost,
    name: HeaderName,
    value: HeaderValue,
    in_clear: bool,
}

impl Means {
    /// Those of the settings.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used.
    pub fn load(config: &Config) -> Result<Self, MeansError> {
        // The public authorities are many, and the same for all.
        let public = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let public = tls(public).map_err(|reason| MeansError { setting: "grants".to_owned(), reason })?;
        let grants = config.grants.iter().filter_map(|grant| Some((grant, grant.http.as_ref()?)));
        let grants = grants.map(|(grant, http)| Ok((Arc::clone(&grant.name), Arc::new(OfGrant::load(&grant.name, http, &public)?))));
        grants.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn of(&self, grant: &str) -> Option<Arc<OfGrant>> {
        self.0.get(grant).cloned()
    }
}

impl OfGrant {
    fn load(name: &str, http: &HttpGrant, public: &Arc<ClientConfig>) -> Result<Self, MeansError> {
        let tls = match &http.ca_file {
            None => Ok(Arc::clone(public)),
            Some(file) => authorities(file).and_then(tls),
        };
        let tls = tls.map_err(|reason| MeansError { setting: format!("grants.{name}.http.ca_file"), reason })?;
        let credentials = http.credentials.iter().map(|credential| {
            let setting = || format!("grants.{name}.http.credentials.{}.file", credential.host);
            Credential::load(credential).map_err(|reason| MeansError { setting: setting(), reason })
        });
        Ok(Self { tls, credentials: credentials.collect::<Result<_, _>>()? })
    }

    /// Puts the operator's fields in, in place of what the guest has there.
    ///
    /// # Errors
    ///
    /// When one would be sent in the clear and must not.
    pub(super) fn add_credentials(&self, scheme: HttpScheme, host: &HttpHost, headers: &mut HeaderMap) -> Result<(), HttpFault> {
        for credential in self.credentials.iter().filter(|credential| credential.host == *host) {
            if scheme == HttpScheme::Http && !credential.in_clear {
                return Err(HttpFault::Denied("credential"));
            }
            headers.insert(credential.name.clone(), credential.value.clone());
        }
        Ok(())
    }
}

impl Credential {
    fn load(config: &CredentialConfig) -> Result<Self, String> {
        let text = read_secret(&config.file, CREDENTIAL_BYTES_MAX, "take another credential if somebody read it")?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() {
            return Err("it is empty; it must have the header field's value in one line".to_owned());
        }
        let wrong = |_| "it has what no header field's value has; it must be one line of plain text".to_owned();
        let mut value = HeaderValue::from_str(text).map_err(wrong)?;
        value.set_sensitive(true);
        let name = HeaderName::from_bytes(config.header.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self { host: config.host.clone(), name, value, in_clear: config.in_clear })
    }
}

/// HTTP/1.1 over TLS 1.2 and 1.3. Nothing of a connection is kept for the next one: that may be another tenant's.
fn tls(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let unreadable = |error: std::io::Error| format!("it cannot be read: {error}");
    if std::fs::metadata(file).map_err(unreadable)?.len() > CA_BYTES_MAX {
        return Err(format!("it has more than {CA_BYTES_MAX} bytes"));
    }
    let pem = std::fs::read(file).map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("it is no PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("it has a certificate that is none: {error}"))?;
    }
    if roots.is_empty() { Err("it has no certificate".to_owned()) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn files_that_cannot_be_used_are_named_by_their_setting() {
        let place = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = place.path().join(name);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("closed");
        };
        let load = |more: &str| {
            let text = format!("[grants.x]\nplugin = \"p\"\n[grants.x.http]\nallow = [\"https://a.example\"]\n{more}");
            let config = Config::read(&text, place.path(), &crate::config::Overrides::default()).expect("right");
            Means::load(&config).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(load(""), Ok(()));
        write("empty.pem", "");
        write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        for (file, wrong) in
            [("missing.pem", "cannot be read"), ("empty.pem", "no certificate"), ("broken.pem", "a certificate that is none")]
        {
            let told = load(&format!("ca_file = \"{file}\"\n")).expect_err("it cannot be used");
            assert!(told.starts_with("grants.x.http.ca_file: ") && told.contains(wrong) && !told.contains(file), "{told}");
        }
        let credential = "[grants.x.http.credentials.\"a.example\"]\nheader = \"x-key\"\nfile = \"key\"\n";
        assert!(load(credential).is_err_and(|told| told.starts_with("grants.x.http.credentials.a.example.file: it cannot be read")));
        write("key", "Bearer x\r\n");
        assert_eq!(load(credential), Ok(()));
        write("key", "a\u{7}b");
        assert!(load(credential).is_err_and(|told| told.contains("one line of plain text")));
    }

    #[test]
    fn what_is_added_takes_the_place_of_what_was_there() {
        let credential = |in_clear| Credential {
            host: HttpHost::parse("a.example").expect("a host"),
            name: HeaderName::from_static("x-key"),
            value: HeaderValue::from_static("ours"),
            in_clear,
        };
        let tls = tls(RootCertStore::empty()).expect("a configuration");
        let of = |in_clear| OfGrant { tls: Arc::clone(&tls), credentials: vec![credential(in_clear)] };
        let add = |of: &OfGrant, scheme, host: &str| {
            let mut headers = HeaderMap::new();
            headers.append("x-key", HeaderValue::from_static("theirs"));
            headers.append("x-key", HeaderValue::from_static("theirs too"));
            let added = of.add_credentials(scheme, &HttpHost::parse(host).expect("a host"), &mut headers);
            added.map(|()| headers.get_all("x-key").iter().map(|value| value.to_str().expect("text").to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(add(&of(false), HttpScheme::Https, "a.example"), Ok(vec!["ours".to_owned()]));
        assert_eq!(add(&of(false), HttpScheme::Https, "b.a.example"), Ok(vec!["theirs".to_owned(), "theirs too".to_owned()]));
        assert_eq!(add(&of(false), HttpScheme::Http, "a.example"), Err(HttpFault::Denied("credential")));
        assert_eq!(add(&of(true), HttpScheme::Http, "a.example"), Ok(vec!["ours".to_owned()]));
    }
}
