//! Who may come in: nobody's name is asked, or everybody shows a token of a pinned issuer.

use super::file::Section;
use super::{TenantConfig, TenantId};
use std::path::{Path, PathBuf};

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
    if !mode.unwrap_or(false) {
        if !issuers.is_empty() {
            auth.note("issuers", "counts with auth.mode = \"tokens\" only");
        }
        issuers.into_iter().for_each(|(name, _, issuer)| drop(read_issuer(name, issuer, base)));
        return AuthConfig::Open;
    }
    if issuers.is_empty() {
        auth.note("mode", "needs at least one section [auth.issuers.NAME]: otherwise nobody could come in");
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
    AuthConfig::Tokens(TokenConfig { public_url: public_url.unwrap_or_default(), issuers })
}

impl AuthConfig {
    /// The files that keys are in.
    pub(super) fn files(&self) -> Vec<&Path> {
        let Self::Tokens(tokens) = self else { return Vec::new() };
        let files = tokens.issuers.iter().map(|issuer| match &issuer.keys {
            KeysConfig::Jwks(file) | KeysConfig::PublicKey { file, .. } | KeysConfig::Secret { file, .. } => file.as_path(),
        });
        files.collect()
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
    }
}

fn read_issuer(name: String, issuer: Section<'_, '_>, base: &Path) -> Option<IssuerConfig> {
    let named = issuer.text("issuer");
    if named.is_none() {
        issuer.note("issuer", "must be given, as tokens have it in `iss`");
    }
    let path = |file: Option<String>| file.map(|file| base.join(file));
    let jwks = path(issuer.text("jwks_file"));
    let public_key = path(issuer.text("public_key_file"));
    let secret = path(issuer.text("secret_file"));
    let (kid, algorithm) = (issuer.text("kid"), issuer.text("algorithm"));
    let keys = match (jwks, public_key, secret) {
        (Some(file), None, None) => Some(KeysConfig::Jwks(file)),
        (None, Some(file), None) => match algorithm {
            Some(algorithm) => Some(KeysConfig::PublicKey { file, algorithm, kid }),
            None => {
                issuer.note("algorithm", "must be given beside public_key_file: RS256, PS256, ES256 or EdDSA");
                None
            }
        },
        (None, None, Some(file)) => Some(KeysConfig::Secret { file, kid }),
        _ => {
            issuer.note("jwks_file", "one of jwks_file, public_key_file and secret_file must be given");
            None
        }
    };
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
