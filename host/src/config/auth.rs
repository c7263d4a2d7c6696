//! Who may come in: nobody's name is asked, or everybody shows a token of a pinned issuer.

use super::Origin;
use super::file::Section;
use super::{TenantConfig, TenantId};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How callers are known.
#[derive(Debug, Clone)]
pub enum AuthConfig {
    /// They are not: everybody who reaches the gateway is the one anonymous caller.
    Open,
    /// By bearer tokens.
    Tokens(TokenConfig),
}

/// Bearer tokens.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// What clients connect to, without the path: what tokens are made for begins with it.
    pub public_url: String,
    /// Whose tokens count.
    pub issuers: Vec<IssuerConfig>,
    /// API keys that count.
    pub keys: Vec<KeyConfig>,
    /// Policies that know other credentials, in the order in which they are asked.
    pub policies: Vec<String>,
}

/// Who vouches for the subjects of API keys: a name that no issuer may have.
pub const KEY_ISSUER: &str = "gatehouse";

/// Before the name of a policy, where that vouches for somebody: no issuer's name begins so.
pub const POLICY_ISSUER_PREFIX: &str = "policy:";

/// One API key.
#[derive(Debug, Clone)]
pub struct KeyConfig {
    /// Its section's name.
    pub name: String,
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    /// Who shows it.
    pub subject: String,
    /// What is granted with it.
    pub scopes: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub expires_at_s: Option<u64>,
    /// On whose behalf its owner calls.
    pub tenant: TenantId,
}

/// One issuer.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// Its section's name.
    pub name: String,
    /// As `iss` has it, byte for byte.
    pub issuer: String,
    /// Where its keys are.
    pub keys: KeysConfig,
    /// Whose its tokens are.
    pub tenant: TenantOf,
    /// Audiences that count at every server, beside the server's own address.
    pub audiences: Vec<String>,
    /// Tokens must say that they are access tokens (RFC 9068).
    pub access_tokens_only: bool,
    /// How wrong clocks may be.
    pub leeway_s: u32,
    /// Of a token.
    pub lifetime_max_s: u32,
}

/// Which tenant a token is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantOf {
    /// All of the issuer's are of this one.
    One(TenantId),
    /// The claim of that name says it.
    Claim(String),
}

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub enum KeysConfig {
    /// A JWKS.
    Jwks(PathBuf),
    /// A JWKS that the issuer serves, fetched again and again.
    JwksUrl(JwksUrl),
    /// A public key in PEM.
    PublicKey {
        /// The file.
        file: PathBuf,
        /// Of its signatures.
        algorithm: String,
        /// The name that tokens call it by; none where they call it nothing.
        kid: Option<String>,
    },
    /// A secret that issuer and gateway share.
    Secret {
        /// The file.
        file: PathBuf,
        /// As above.
        kid: Option<String>,
    },
}

/// Keys that the issuer serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl {
    /// Where. `https`, or `http` of this machine.
    pub url: String,
    /// Whose certificates count for it, in PEM; none: those of the public authorities.
    pub ca_file: Option<PathBuf>,
    /// How old a set may become before it is fetched anew: a key that the issuer took away counts no longer.
    pub refresh: Duration,
    /// For how long beyond that the keys count where the server cannot be reached or speaks nonsense.
    pub grace: Duration,
}

pub(super) fn read(auth: &Section<'_, '_>, base: &Path) -> AuthConfig {
    let mode = auth.parsed("mode", |text| match text {
        "none" => Ok(false),
        "tokens" => Ok(true),
        _ => Err("must be \"none\" or \"tokens\"".to_owned()),
    });
    let public_url = auth.parsed("public_url", |text| {
        let right = super::Origin::parse(text).is_some_and(|origin| origin.is_web());
        if right { Ok(text.to_owned()) } else { Err("must be an address without a path, such as \"https://gate.example.com\"".to_owned()) }
    });
    let issuers = auth.sections("issuers");
    let keys = auth.sections("keys");
    let policies = auth.texts("policies");
    if !mode.unwrap_or(false) {
        if !issuers.is_empty() {
            auth.note("issuers", "counts with auth.mode = \"tokens\" only");
        }
        if !keys.is_empty() {
            auth.note("keys", "counts with auth.mode = \"tokens\" only");
        }
        if !policies.is_empty() {
            auth.note("policies", "counts with auth.mode = \"tokens\" only");
        }
        issuers.into_iter().for_each(|(name, _, issuer)| drop(read_issuer(name, issuer, base)));
        keys.into_iter().for_each(|(name, _, key)| drop(read_key(&name, key)));
        return AuthConfig::Open;
    }
    if issuers.is_empty() && keys.is_empty() && policies.is_empty() {
        let none = "needs at least one section [auth.issuers.NAME] or [auth.keys.NAME], or auth.policies: otherwise nobody could come in";
        auth.note("mode", none);
    }
    if public_url.is_none() {
        auth.note("public_url", "must be given: it is what tokens are made for");
    }
    let issuers: Vec<_> = issuers.into_iter().filter_map(|(name, _, issuer)| read_issuer(name, issuer, base)).collect();
    for (at, one) in issuers.iter().enumerate() {
        if issuers.iter().skip(at + 1).any(|other| other.issuer == one.issuer) {
            auth.note("issuers", format!("two of them are {}", one.issuer));
        }
    }
    let keys: Vec<_> = keys.into_iter().filter_map(|(name, _, key)| read_key(&name, key)).collect();
    for (at, one) in keys.iter().enumerate() {
        if keys.iter().skip(at + 1).any(|other| other.digest == one.digest) {
            auth.note("keys", format!("two of them have one hash, that of {}", one.subject));
        }
    }
    AuthConfig::Tokens(TokenConfig { public_url: public_url.unwrap_or_default(), issuers, keys, policies })
}

impl AuthConfig {
    /// The policies that know other credentials.
    pub(super) fn policies(&self) -> &[String] {
        match self {
            Self::Open => &[],
            Self::Tokens(tokens) => &tokens.policies,
        }
    }

    /// Refuses callers of tenants that there are not.
    pub(super) fn check_tenants(&self, auth: &Section<'_, '_>, tenants: &[TenantConfig]) {
        let known = |id: &TenantId| tenants.iter().any(|tenant| tenant.id == *id);
        let default = TenantId::default();
        let Self::Tokens(tokens) = self else {
            if !known(&default) {
                auth.note(
                    "mode",
                    format!("is \"none\", so everybody is of the tenant `{default}`, and there is no section [tenants.{default}]"),
                );
            }
            return;
        };
        for issuer in &tokens.issuers {
            match &issuer.tenant {
                TenantOf::One(id) if !known(id) && *id == default => {
                    auth.note("issuers", format!("{}: tenant or tenant_claim must say whose tokens these are", issuer.name));
                }
                TenantOf::One(id) if !known(id) => {
                    auth.note("issuers", format!("{}: there is no section [tenants.{id}]", issuer.name));
                }
                TenantOf::One(_) | TenantOf::Claim(_) => {}
            }
        }
        for key in &tokens.keys {
            if !known(&key.tenant) && key.tenant == default {
                auth.note("keys", format!("{}: tenant must say on whose behalf its owner calls", key.name));
            } else if !known(&key.tenant) {
                auth.note("keys", format!("{}: there is no section [tenants.{}]", key.name, key.tenant));
            }
        }
    }
}

fn read_issuer(name: String, issuer: Section<'_, '_>, base: &Path) -> Option<IssuerConfig> {
    let named = issuer.text("issuer");
    if named.is_none() {
        issuer.note("issuer", "must be given, as tokens have it in `iss`");
    }
    if named.as_deref() == Some(KEY_ISSUER) {
        issuer.note("issuer", format!("must not be \"{KEY_ISSUER}\": that is who vouches for API keys"));
    }
    if named.as_deref().is_some_and(|named| named.starts_with(POLICY_ISSUER_PREFIX)) {
        issuer.note("issuer", "must not begin with \"policy:\": so do the names of policies that vouch for callers");
    }
    let keys = read_keys(&issuer, base);
    let seconds = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX);
    let tenant = match (issuer.text("tenant"), issuer.text("tenant_claim")) {
        (Some(_), Some(_)) => {
            issuer.note("tenant", "is given beside tenant_claim: one of the two says whose tokens these are");
            None
        }
        (None, Some(claim)) => Some(TenantOf::Claim(claim)),
        (named, None) => Some(TenantOf::One(named.map_or_else(TenantId::default, |name| TenantId::of(&name)))),
    };
    let config = IssuerConfig {
        name,
        issuer: named.unwrap_or_default(),
        keys: keys?,
        tenant: tenant?,
        audiences: issuer.texts("audiences"),
        access_tokens_only: issuer.flag("access_tokens_only", false),
        leeway_s: seconds(issuer.number("leeway_s", 30, 0..=300)),
        lifetime_max_s: seconds(issuer.number("lifetime_max_s", 86_400, 60..=2_592_000)),
    };
    issuer.end();
    (!config.issuer.is_empty()).then_some(config)
}

fn read_key(name: &str, key: Section<'_, '_>) -> Option<KeyConfig> {
    const TEXT_BYTES_MAX: usize = 256;
    const SCOPES_MAX: usize = 64;
    let digest = key.parsed("hash", |text| digest(text).ok_or_else(|| "must be sha256: and 64 hexadecimal digits".to_owned()));
    if !key.has("hash") {
        key.note("hash", "must be given; `gatehouse token key` makes a key and prints it");
    }
    let named = |text: &str| {
        let right = (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if right { Ok(text.to_owned()) } else { Err(format!("must have 1 to {TEXT_BYTES_MAX} bytes and no control characters")) }
    };
    let tenant = key.text("tenant").map_or_else(TenantId::default, |name| TenantId::of(&name));
    let subject = key.parsed("subject", named);
    let subject = subject
        .or_else(|| named(name).map_err(|wrong| key.note("subject", format!("without one it is the section's name, which {wrong}"))).ok());
    let scopes = key.texts("scopes");
    if scopes.len() > SCOPES_MAX || !scopes.iter().all(|scope| token::is_scope(scope)) {
        key.note("scopes", format!("must be at most {SCOPES_MAX}, each of 1 to 128 visible ASCII characters without \" and \\"));
    }
    let expires_at_s = key.parsed("expires", |text| end_of(text).ok_or_else(|| "must be a day such as \"2027-01-31\"".to_owned()));
    key.end();
    Some(KeyConfig { name: name.to_owned(), digest: digest?, subject: subject?, scopes, expires_at_s, tenant })
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let mut digest = [0; 32];
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// The end of a day, UTC, in seconds since 1970.
fn end_of(day: &str) -> Option<u64> {
    let (year, rest) = day.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
        return None;
    }
    let month = time::Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let day = time::Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    u64::try_from(day.next_day()?.midnight().assume_utc().unix_timestamp()).ok()
}

/// Where the keys are: one place.
fn read_keys(issuer: &Section<'_, '_>, base: &Path) -> Option<KeysConfig> {
    let path = |file: Option<String>| file.map(|file| base.join(file));
    let jwks = path(issuer.text("jwks_file"));
    let url = issuer.parsed("jwks_url", jwks_url);
    let ca_file = path(issuer.text("jwks_ca_file"));
    let refresh = Duration::from_secs(issuer.number("jwks_refresh_s", 300, 1..=86_400));
    let grace = Duration::from_secs(issuer.number("jwks_grace_s", 3_600, 0..=604_800));
    let public_key = path(issuer.text("public_key_file"));
    let secret = path(issuer.text("secret_file"));
    let (kid, algorithm) = (issuer.text("kid"), issuer.text("algorithm"));
    match (jwks, url, public_key, secret) {
        (Some(file), None, None, None) => Some(KeysConfig::Jwks(file)),
        (None, Some(url), None, None) => Some(KeysConfig::JwksUrl(JwksUrl { url, ca_file, refresh, grace })),
        (None, None, Some(file), None) => match algorithm {
            Some(algorithm) => Some(KeysConfig::PublicKey { file, algorithm, kid }),
            None => {
                issuer.note("algorithm", "must be given beside public_key_file: RS256, PS256, ES256 or EdDSA");
                None
            }
        },
        (None, None, None, Some(file)) => Some(KeysConfig::Secret { file, kid }),
        _ => {
            issuer.note("jwks_file", "one of jwks_file, jwks_url, public_key_file and secret_file must be given");
            None
        }
    }
}

/// Whoever can answer in the server's place makes tokens, so that a connection in the clear is for this machine only.
fn jwks_url(text: &str) -> Result<String, String> {
    const BYTES_MAX: usize = 2_048;
    let wrong = || {
        Err("must be like https://login.example.com/keys, without a user and a fragment; http is for 127.0.0.1, [::1] and localhost"
            .to_owned())
    };
    let Some((scheme, rest)) = text.split_once("://") else { return wrong() };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let origin = Origin::parse(&format!("{scheme}://{authority}"));
    let served = origin.is_some_and(|origin| match scheme {
        "https" => true,
        "http" => origin.is_loopback(),
        _ => false,
    });
    let plain =
        text.len() <= BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'"' | b'<' | b'>'));
    if served && plain { Ok(text.to_owned()) } else { wrong() }
}
