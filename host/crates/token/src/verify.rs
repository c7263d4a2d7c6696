//! From a token to a caller, in the order in which nothing is believed before it is proven.

use crate::claims;
use crate::encoding::base64url;
use crate::issuer::Issuer;
use crate::jose::Header;
use crate::json::Object;
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
    let parts = Parts::split(token)?;
    let header = Header::read(&parts.header)?;
    let payload = Object::read(&parts.payload).ok_or(Refused::Payload)?;
    let named = payload.text("iss").ok().flatten().ok_or(Refused::Issuer)?;
    let issuer = issuers.iter().find(|issuer| &*issuer.issuer == named).ok_or(Refused::Issuer)?;
    issuer.types.admit(header.token)?;
    let key = issuer.keys.of_header(header.kid.as_deref(), header.algorithm)?;
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
