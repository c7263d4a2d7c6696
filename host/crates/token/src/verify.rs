//! From a token to a caller, in the order in which nothing is believed before it is proven.

use crate::claims;
use crate::encoding::base64url;
use crate::issuer::Issuer;
use crate::jose::Header;
use crate::json::Object;
use crate::key_set::KeySet;
use crate::limits::TOKEN_BYTES_MAX;
use crate::refused::Refused;
use crate::verified::Verified;

/// A JWS in compact form (RFC 7515, 7.1), decoded.
struct Parts<'t> {
    header: Vec<u8>,
    payload: String,
    signature: Vec<u8>,
    /// What is signed: the first two parts and the point between them, as they came.
    signed: &'t str,
    /// The third part as it came.
    encoded_signature: &'t str,
}

impl<'t> Parts<'t> {
    /// Cheap, and without an allocation for what is too long or has another shape.
    fn split(token: &'t str) -> Result<Parts<'t>, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::TooLong);
        }
        let (signed, encoded_signature) = token.rsplit_once('.').ok_or(Refused::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(Refused::Parts)?;
        if payload.contains('.') || [header, payload, encoded_signature].contains(&"") {
            return Err(Refused::Parts);
        }
        let decode = |part| base64url(part).ok_or(Refused::Encoding);
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(encoded_signature)?);
        let payload = String::from_utf8(payload).map_err(|_| Refused::Payload)?;
        Ok(Parts { header, payload, signature, signed, encoded_signature })
    }
}

/// What a token says. **Nothing of it is verified**: for people who look at a token, never for a decision.
#[derive(Clone, PartialEq, Eq)]
pub struct Look {
    /// The header, a text that should be JSON.
    pub header: String,
    /// The payload, a text that should be JSON.
    pub payload: String,
    /// How long the signature is.
    pub signature_bytes: usize,
}

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Look").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Takes a token apart.
///
/// # Errors
///
/// [`Refused::TooLong`], [`Refused::Parts`], [`Refused::Encoding`], and [`Refused::Header`] or [`Refused::Payload`] for what is no text.
pub fn look(token: &str) -> Result<Look, Refused> {
    let parts = Parts::split(token)?;
    let header = String::from_utf8(parts.header).map_err(|_| Refused::Header)?;
    Ok(Look { header, payload: parts.payload, signature_bytes: parts.signature.len() })
}

/// Verifies a token: whose it is, and that it was issued by one of `issuers`, for `expected_audience`, and for now, which is `now_s` seconds
/// after 1970.
///
/// The order: shape, header, `iss`, the issuer's key, signature; then the other claims. So whoever cannot sign learns nothing about what the
/// gateway thinks of claims, not by the time that it takes either.
///
/// If two issuers have one name, the first one counts; settings should refuse that.
///
/// # Errors
///
/// [`Refused`]. All of them are one answer to the caller: 401, `invalid_token` (RFC 6750, 3.1).
pub fn verify(token: &str, issuers: &[Issuer], expected_audience: &str, now_s: u64) -> Result<Verified, Refused> {
    let find = |named: &str| issuers.iter().find(|issuer| &*issuer.issuer == named).map(|issuer| (issuer, issuer.keys.clone()));
    verify_with(token, find, expected_audience, now_s)
}

/// The same where an issuer's keys change while the gateway runs: `find` gives the issuer of exactly this name, which must be its
/// [`Issuer::issuer`], and the keys that it has now, which count in place of [`Issuer::keys`]. It is asked once at most, for what `iss` says,
/// which nobody has signed yet.
///
/// # Errors
///
/// As [`verify`]. Nothing is believed of an issuer without keys: its tokens are [`Refused::KidUnknown`], or [`Refused::Algorithm`] where they
/// name no key.
pub fn verify_with<'i>(
    token: &str,
    find: impl FnOnce(&str) -> Option<(&'i Issuer, KeySet)>,
    expected_audience: &str,
    now_s: u64,
) -> Result<Verified, Refused> {
    let parts = Parts::split(token)?;
    let header = Header::read(&parts.header)?;
    let payload = Object::read(&parts.payload).ok_or(Refused::Payload)?;
    let named = payload.text("iss").ok().flatten().ok_or(Refused::Issuer)?;
    let (issuer, keys) = find(named).filter(|(issuer, _)| &*issuer.issuer == named).ok_or(Refused::Issuer)?;
    issuer.types.admit(header.token)?;
    let key = keys.of_header(header.kid.as_deref(), header.algorithm)?;
    if !key.has_signed(parts.signed, &parts.signature, parts.encoded_signature) {
        return Err(Refused::Signature);
    }
    let accepted = claims::accept(&payload, issuer, expected_audience, now_s)?;
    Ok(Verified {
        issuer: issuer.issuer.clone(),
        subject: accepted.subject.into(),
        audience: accepted.audience.into(),
        scopes: accepted.scopes.into_iter().map(Into::into).collect(),
        expires_at_s: accepted.expires_at_s,
        token_id: accepted.token_id.map(Into::into),
        client_id: accepted.client_id.map(Into::into),
        key_id: key.kid().map(Into::into),
        claims_json: parts.payload.into_boxed_str(),
    })
}
