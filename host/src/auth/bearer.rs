//! Callers by bearer tokens: each request shows one, made by a pinned issuer for the very address that it is sent to, or an API key.

use super::api_key::{ApiKey, ApiKeys, Digest};
use super::kept::{self, Kept};
use super::remote::{self, Remote};
use super::{Owner, Principal, chain::Voucher};
use crate::config::{IssuerConfig, KeysConfig, TenantOf, TokenConfig};
use crate::tenant::TenantId;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use token::{Algorithm, HeaderFault, Issuer, Key, KeySet, Refused, TokenTypes, Verified};

/// How long a request waits for an issuer's keys.
const KEYS_WAIT: Duration = Duration::from_secs(5);
/// So many tokens need not be verified again, each for so long, and never beyond its end.
const VERIFIED_MAX: usize = 10_000;
const VERIFIED_AGE_MAX: Duration = Duration::from_secs(300);

/// The issuers whose tokens count, and the API keys.
#[derive(Debug)]
pub struct Bearer {
    public_url: String,
    sources: Vec<Source>,
    keys: ApiKeys,
    /// Tokens that were found to hold, by SHA-256 of each with the address that it was sent to. What does not hold is never kept, so nobody fills
    /// this who has no tokens; and it ends with the settings that it was found by.
    verified: Kept<Arc<Found>>,
}

/// What was found of a token.
#[derive(Debug)]
struct Found {
    principal: Principal,
    tenant: TenantId,
    claims: Arc<str>,
    expires_at_s: u64,
    /// A clock that went back makes it one of the future, perhaps.
    at_s: u64,
    /// The set of keys that it was verified with; none for those of a file.
    keys: Option<remote::Digest>,
}

/// What a token says, and the set of keys that it was verified with; none for those of a file.
type Checked = (Verified, Option<remote::Digest>);

/// Who shows something that counts.
#[derive(Debug)]
pub struct Known {
    /// Who it is.
    pub principal: Principal,
    /// On whose behalf: a name that a token may have from its issuer, so that there may be no such tenant.
    pub tenant: TenantId,
    pub(super) shown: Shown,
    pub(super) expires_at_s: Option<u64>,
}

/// What a caller is known by.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    /// By nothing: anybody.
    Nothing,
    /// A token that says this, verified, as a JSON object.
    Token(Arc<str>),
    /// The API key of this digest.
    Key(Digest),
    /// Something that a policy knows, with what it says of its owner, a JSON object.
    Credential { voucher: Box<Voucher>, claims: Option<Arc<str>> },
}

impl Known {
    fn of_key(key: &ApiKey) -> Self {
        let (principal, tenant) = (key.principal.clone(), key.tenant.clone());
        Self { principal, shown: Shown::Key(key.digest), expires_at_s: key.expires_at_s, tenant }
    }
}

/// One issuer, and where its keys are.
#[derive(Debug)]
struct Source {
    /// Its keys are here unless they are remote.
    issuer: Issuer,
    remote: Option<Arc<Remote>>,
    /// Whose its tokens are.
    tenant_of: TenantOf,
}

/// An issuer's keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("auth.issuers.{name}: {place}: {reason}")]
pub struct IssuerError {
    name: String,
    /// The file, or the setting that names it.
    place: String,
    reason: String,
}

impl IssuerError {
    pub(super) fn new(name: &str, file: &Path, reason: String) -> Self {
        Self { name: name.to_owned(), place: file.display().to_string(), reason }
    }

    /// Whoever writes the secret where its file belongs finds it neither on the screen nor in the log.
    fn of_secret(name: &str, reason: String) -> Self {
        Self { name: name.to_owned(), place: "secret_file".to_owned(), reason }
    }
}

/// Why a request has no caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It shows no token.
    NoToken,
    /// It shows something that is no request for authentication at all: two headers.
    Malformed,
    /// What it shows does not count. The reason is for logs.
    Refused(Refusal),
    /// Its issuer's keys cannot be had, so that nobody knows whether it counts.
    NoKeys,
    /// A policy that is asked about credentials did not come to an answer.
    NoAnswer,
    /// It is known who it is, and an operator has revoked the tenant or the principal.
    Revoked,
}

impl Unknown {
    /// The word for metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::Malformed => "malformed",
            Self::Refused(refusal) => refusal.as_str(),
            Self::NoKeys => "no_keys",
            Self::NoAnswer => "no_answer",
            Self::Revoked => "revoked",
        }
    }
}

/// Why what a request shows does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no token in its header.
    #[error(transparent)]
    Header(#[from] HeaderFault),
    /// The token does not hold.
    #[error(transparent)]
    Token(#[from] Refused),
    /// It begins like an API key and is none: a typing error, most likely.
    #[error("this is no API key: its checksum is wrong")]
    KeyShape,
    /// An API key that the settings do not have.
    #[error("the API key is unknown")]
    KeyUnknown,
    /// An API key whose time is over.
    #[error("the API key has expired")]
    KeyExpired,
    /// A policy that knows credentials of this kind says no.
    #[error("a policy refuses it")]
    Policy,
    /// It counts, and is of no tenant that there is.
    #[error("it is of no tenant that there is")]
    Tenant,
}

impl Refusal {
    /// Whether it cannot be of a pinned issuer or an API key, so that somebody else may know it.
    pub(super) fn is_foreign(self) -> bool {
        matches!(
            self,
            Self::Header(HeaderFault::Scheme | HeaderFault::Shape) | Self::Token(Refused::Parts | Refused::Encoding | Refused::Issuer)
        )
    }

    /// The word for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header(fault) => fault.as_str(),
            Self::Token(refused) => refused.as_str(),
            Self::KeyShape => "key_shape",
            Self::KeyUnknown => "key_unknown",
            Self::KeyExpired => "key_expired",
            Self::Policy => "policy",
            Self::Tenant => "tenant",
        }
    }
}

impl From<Refused> for Unknown {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.into())
    }
}

/// Fetches the keys of one issuer.
#[derive(Debug)]
pub struct KeyFetcher(Arc<Remote>);

impl KeyFetcher {
    /// Fetches if it is time, or waits for that, and not for long.
    pub async fn round(&self) {
        self.0.round().await;
    }
}

impl Bearer {
    /// Reads the keys of the settings, but for those that issuers serve: [`key_fetchers`](Self::key_fetchers) fetch them. Where `previous` has an
    /// issuer of the same settings, what it has fetched goes on.
    ///
    /// # Errors
    ///
    /// The first that cannot be read or used.
    pub fn load(config: &TokenConfig, previous: Option<&Bearer>) -> Result<Self, IssuerError> {
        let remotes: Option<Vec<_>> = previous.map(|previous| previous.remotes().cloned().collect());
        let sources = config.issuers.iter().map(|config| source(config, remotes.as_deref())).collect::<Result<_, _>>()?;
        let (public_url, keys) = (config.public_url.trim_end_matches('/').to_owned(), ApiKeys::new(&config.keys));
        Ok(Self { public_url, sources, keys, verified: Kept::new(VERIFIED_MAX, VERIFIED_AGE_MAX) })
    }

    fn remotes(&self) -> impl Iterator<Item = &Arc<Remote>> {
        self.sources.iter().filter_map(|source| source.remote.as_ref())
    }

    /// Who fetches keys by URL, one for each issuer that serves any. Nobody else does; tokens of their issuers count only while these go round.
    /// When one is dropped, what was fetched stays.
    pub fn key_fetchers(&self) -> impl Iterator<Item = KeyFetcher> {
        self.remotes().map(|remote| KeyFetcher(Arc::clone(remote)))
    }

    /// All of them at once, without end, where nobody else keeps them going round.
    pub fn keep_keys(&self) -> impl Future<Output = ()> + Send + 'static {
        let fetchers: Vec<_> = self.key_fetchers().collect();
        async move {
            let each = fetchers.iter().map(async |fetcher| {
                loop {
                    fetcher.round().await;
                }
            });
            futures_util::future::join_all(each).await;
        }
    }

    /// How many issuers have served no keys yet, and were there when the gateway started.
    pub fn issuers_awaited(&self) -> usize {
        self.remotes().filter(|remote| remote.is_awaited()).count()
    }

    /// How many issuers have no keys now: none were fetched yet, or not for too long.
    pub fn issuers_without_keys(&self) -> usize {
        self.remotes().filter(|remote| remote.keys().is_none()).count()
    }

    /// Where clients connect to reach that path of ours, which is what their tokens are made for (RFC 8707).
    pub fn resource(&self, path: &str) -> String {
        format!("{}{}", self.public_url, path.trim_end_matches('/'))
    }

    /// The names of the issuers.
    pub fn issuers(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| &*source.issuer.issuer)
    }

    /// Who a request of that path is from, by its `Authorization` headers. It waits only for keys that are not here, and not for long.
    ///
    /// # Errors
    ///
    /// Why nobody knows.
    pub async fn verify<'a>(&self, path: &str, headers: impl Iterator<Item = &'a [u8]>) -> Result<Known, Unknown> {
        let token = match token::authorization(headers) {
            Ok(Some(token)) => token,
            Ok(None) => return Err(Unknown::NoToken),
            Err(HeaderFault::Many) => return Err(Unknown::Malformed),
            Err(fault) => return Err(Unknown::Refused(fault.into())),
        };
        if ApiKeys::is_one(token) {
            // A clock before 1970 ends every key that has an end.
            let key = self.keys.find(token, now_s().unwrap_or(u64::MAX)).map_err(Unknown::Refused)?;
            return Ok(Known::of_key(key));
        }
        let audience = self.resource(path);
        let name = name(token, &audience);
        let now_s = now_s().unwrap_or(0);
        if let Some(found) = self.verified.get(&name, Instant::now()).filter(|found| self.holds(found, now_s)) {
            return Ok(found.known());
        }
        let (verified, keys) = match self.verify_now(token, &audience) {
            Ok(verified) => verified,
            Err((refused, None)) => return Err(refused.into()),
            Err((refused, Some(remote))) => self.verify_later(token, &audience, refused, remote).await?,
        };
        let principal = Principal {
            issuer: Some(verified.issuer().into()),
            subject: Some(verified.subject().into()),
            scopes: verified.scopes().iter().map(|scope| Arc::from(&**scope)).collect(),
        };
        let tenant = self.tenant(verified.issuer(), verified.claims_json()).ok_or(Unknown::Refused(Refusal::Tenant))?;
        let (claims, expires_at_s) = (verified.claims_json().into(), verified.expires_at_s());
        let found = Arc::new(Found { principal, tenant, claims, expires_at_s, at_s: now_s, keys });
        self.verified.put(name, Arc::clone(&found), found.bytes(), Instant::now());
        Ok(found.known())
    }

    /// Whether what was found of a token is what would be found now: until its end, and as long as its issuer has the same keys. Within the leeway
    /// after its end it is looked at each time.
    fn holds(&self, found: &Found, now_s: u64) -> bool {
        let source = found.principal.issuer.as_deref().and_then(|issuer| self.source(issuer));
        let keys = source.and_then(|source| source.remote.as_ref()).map(|remote| remote.now().map(|held| held.digest));
        (found.at_s..found.expires_at_s).contains(&now_s) && keys.is_none_or(|keys| keys.is_some() && keys == found.keys)
    }

    /// Who it is whose token or key was verified before, by other rules.
    pub(super) fn again(&self, principal: &Principal, shown: &Shown, expires_at_s: Option<u64>) -> Option<Known> {
        match shown {
            Shown::Nothing | Shown::Credential { .. } => None,
            Shown::Token(claims) => {
                let tenant = self.tenant(principal.issuer.as_deref()?, claims)?;
                Some(Known { principal: principal.clone(), tenant, shown: shown.clone(), expires_at_s })
            }
            Shown::Key(digest) => self.keys.get(digest, now_s().unwrap_or(u64::MAX)).ok().map(Known::of_key),
        }
    }

    /// Whether something of that owner can be shown, as far as that can be said without it.
    pub(super) fn knows(&self, owner: &Owner) -> bool {
        let (issuer, _) = owner.identity();
        match issuer.and_then(|issuer| self.source(issuer)).map(|source| &source.tenant_of) {
            Some(TenantOf::One(tenant)) => tenant == owner.tenant(),
            Some(TenantOf::Claim(_)) => true,
            None => self.keys.knows(owner),
        }
    }

    fn source(&self, issuer: &str) -> Option<&Source> {
        self.sources.iter().find(|source| &*source.issuer.issuer == issuer)
    }

    /// Whose a token of that issuer is.
    fn tenant(&self, issuer: &str, claims: &str) -> Option<TenantId> {
        match &self.source(issuer)?.tenant_of {
            TenantOf::One(tenant) => Some(tenant.clone()),
            TenantOf::Claim(claim) => {
                let claims: serde_json::Value = serde_json::from_str(claims).ok()?;
                Some(TenantId::of(claims.get(claim)?.as_str()?))
            }
        }
    }

    /// With the keys that are here. A refusal comes with the issuer whose keys may be others by now.
    fn verify_now(&self, token: &str, audience: &str) -> Result<Checked, (Refused, Option<&Arc<Remote>>)> {
        let (mut asked, mut digest) = (None, None);
        let find = |named: &str| {
            let source = self.source(named)?;
            asked = source.remote.as_ref();
            let keys = match &source.remote {
                Some(remote) => {
                    let held = remote.now();
                    digest = held.as_ref().map(|held| held.digest);
                    held.map(|held| held.keys.clone()).unwrap_or_default()
                }
                None => source.issuer.keys.clone(),
            };
            Some((&source.issuer, keys))
        };
        // A clock before 1970 makes every token one of the future.
        let verified = token::verify_with(token, find, audience, now_s().unwrap_or(0)).map_err(|refused| {
            // A token that names no key gets another reason where there is none at all.
            let is_key_missing =
                refused == Refused::KidUnknown || (refused == Refused::Algorithm && asked.is_some_and(|remote| remote.keys().is_none()));
            (refused, asked.filter(|_| is_key_missing))
        })?;
        Ok((verified, digest))
    }

    /// Once more, when a fetch has come to its end. Twice: the first one may have begun before the issuer had the key.
    async fn verify_later(&self, token: &str, audience: &str, refused: Refused, remote: &Remote) -> Result<Checked, Unknown> {
        let (deadline, mut refused) = (Instant::now() + KEYS_WAIT, refused);
        for _ in 0..2 {
            if !remote.renewed(deadline).await {
                break;
            }
            match self.verify_now(token, audience) {
                Ok(verified) => return Ok(verified),
                Err((again, None)) => return Err(again.into()),
                Err((again, Some(_))) => refused = again,
            }
        }
        Err(if remote.keys().is_none() { Unknown::NoKeys } else { refused.into() })
    }
}

impl Found {
    fn known(&self) -> Known {
        let (principal, tenant) = (self.principal.clone(), self.tenant.clone());
        Known { principal, tenant, shown: Shown::Token(Arc::clone(&self.claims)), expires_at_s: Some(self.expires_at_s) }
    }

    fn bytes(&self) -> usize {
        let scopes: usize = self.principal.scopes.iter().map(|scope| scope.len() + size_of::<Arc<str>>()).sum();
        size_of::<Self>() + self.claims.len() + scopes
    }
}

/// What a token is kept under: a hash, so that no token lies about in memory, of all that it was verified for.
fn name(token: &str, audience: &str) -> kept::Key {
    Sha256::new().chain_update((audience.len() as u64).to_le_bytes()).chain_update(audience).chain_update(token).finalize().into()
}

fn now_s() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).ok()
}

fn source(config: &IssuerConfig, previous: Option<&[Arc<Remote>]>) -> Result<Source, IssuerError> {
    let failed = |file: &Path, reason: String| match &config.keys {
        KeysConfig::Secret { .. } => IssuerError::of_secret(&config.name, reason),
        KeysConfig::Jwks(_) | KeysConfig::JwksUrl(_) | KeysConfig::PublicKey { .. } => IssuerError::new(&config.name, file, reason),
    };
    let (keys, remote) = match &config.keys {
        KeysConfig::JwksUrl(settings) => (KeySet::default(), Some(Remote::new(&config.name, settings, previous)?)),
        KeysConfig::Jwks(file) | KeysConfig::PublicKey { file, .. } | KeysConfig::Secret { file, .. } => {
            let keys = read(file).and_then(|text| keys_of(config, &text)).map_err(|reason| failed(file, reason))?;
            if keys.keys().is_empty() {
                return Err(failed(file, "it has no key that can be used".to_owned()));
            }
            (keys, None)
        }
    };
    let types = if config.access_tokens_only { TokenTypes::AccessToken } else { TokenTypes::AnyJwt };
    let audiences = config.audiences.iter().map(|audience| audience.as_str().into()).collect();
    let defaults = Issuer::new(config.issuer.as_str(), keys);
    let issuer = Issuer { audiences, leeway_s: config.leeway_s, lifetime_max_s: config.lifetime_max_s, types, ..defaults };
    Ok(Source { issuer, remote, tenant_of: config.tenant.clone() })
}

/// The keys in the text of a file.
fn keys_of(config: &IssuerConfig, text: &[u8]) -> Result<KeySet, String> {
    let key = match &config.keys {
        // A URL has no file.
        KeysConfig::JwksUrl(_) => return Ok(KeySet::default()),
        KeysConfig::Jwks(_) => {
            let jwks = KeySet::from_jwks(text).map_err(|fault| format!("it is no JWKS: {}", fault.as_str()))?;
            for ignored in &jwks.ignored {
                tracing::warn!(issuer = %config.name, position = ignored.position, fault = ignored.fault.as_str(), "a key is not used");
            }
            return Ok(jwks.keys);
        }
        KeysConfig::PublicKey { algorithm, kid, .. } => {
            let algorithm = Algorithm::of_name(algorithm).ok_or_else(|| format!("there is no algorithm {algorithm}"))?;
            let text = std::str::from_utf8(text).map_err(|_| "it is no PEM".to_owned())?;
            Key::from_pem(text, algorithm, kid.as_deref())
        }
        // The line end that an editor leaves is not a part of it.
        KeysConfig::Secret { kid, .. } => Key::from_secret(text.trim_ascii_end(), kid.as_deref()),
    };
    KeySet::new(vec![key.map_err(|fault| fault.to_string())?]).map_err(|_| "it is no key set".to_owned())
}

/// Of a file of keys, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;

pub(super) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let bytes = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("it has {bytes} bytes; the limit is {FILE_BYTES_MAX}"));
    }
    std::fs::read(file).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(keys: KeysConfig) -> Bearer {
        let issuer = IssuerConfig {
            name: "one".to_owned(),
            issuer: "https://one.example".to_owned(),
            keys,
            audiences: Vec::new(),
            access_tokens_only: false,
            leeway_s: 30,
            lifetime_max_s: 600,
            tenant: TenantOf::One(TenantId::default()),
        };
        let config =
            TokenConfig { public_url: "https://gate.example".to_owned(), issuers: vec![issuer], keys: Vec::new(), policies: Vec::new() };
        Bearer::load(&config, None).unwrap()
    }

    /// Verified at 100, good until 200.
    fn found(issuer: &str, keys: Option<remote::Digest>) -> Found {
        let principal = Principal { issuer: Some(issuer.into()), ..Principal::default() };
        Found { principal, tenant: TenantId::default(), claims: "{}".into(), expires_at_s: 200, at_s: 100, keys }
    }

    #[test]
    fn what_was_found_holds_until_the_tokens_end_and_under_the_same_keys() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, data_encoding::BASE64.encode(&Sha256::digest("secret")).as_bytes()).unwrap();
        let of_file = bearer(KeysConfig::Secret { file: file.path().to_owned(), kid: None });
        let known = found("https://one.example", None);
        for (now_s, holds) in [(99, false), (100, true), (199, true), (200, false), (0, false)] {
            assert_eq!(of_file.holds(&known, now_s), holds, "{now_s}");
        }
        let second = Duration::from_secs(1);
        let url = "http://127.0.0.1:9/".to_owned();
        let served = bearer(KeysConfig::JwksUrl(crate::config::JwksUrl { url, ca_file: None, refresh: second, grace: second }));
        for keys in [None, Some([0; 32])] {
            assert!(!served.holds(&found("https://one.example", keys), 150), "no keys, and no tokens");
        }
    }

    #[test]
    fn a_token_has_one_name_for_each_address() {
        let names = [name("ab", "c"), name("a", "bc"), name("abc", ""), name("b", "ca")];
        assert!(names.iter().enumerate().all(|(at, one)| names.iter().skip(at + 1).all(|other| one != other)));
        assert_eq!(name("ab", "c"), names[0]);
    }
}
