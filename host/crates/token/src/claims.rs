//! The claims of a token whose signature holds (RFC 7519, 4; RFC 9068, 2.2): is it for here, and for now?

use crate::issuer::Issuer;
use crate::json::{Object, Round, Texts};
use crate::limits::{AUDIENCES_MAX, NAME_BYTES_MAX, SCOPE_BYTES_MAX, SCOPES_MAX};
use crate::refused::Refused;

/// What is used of the claims.
#[derive(Debug)]
pub(crate) struct Accepted<'a> {
    pub(crate) subject: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) scopes: Vec<&'a str>,
    pub(crate) expires_at_s: u64,
    pub(crate) token_id: Option<&'a str>,
    pub(crate) client_id: Option<&'a str>,
}

/// When a token is valid, in seconds since 1970. An end is rounded down, a beginning up, so that a fraction is never to the caller's favour.
struct Times {
    expires: Option<i64>,
    not_before: Option<i64>,
    issued: Option<i64>,
}

/// Types first, all of them, so that no claim counts as absent because it was not understood.
pub(crate) fn accept<'a>(claims: &'a Object, issuer: &Issuer, expected_audience: &str, now_s: u64) -> Result<Accepted<'a>, Refused> {
    let seconds = |name, round| claims.seconds(name, round).map_err(|_| Refused::Claim);
    let text = |name| claims.text(name).map_err(|_| Refused::Claim);
    let times = Times { expires: seconds("exp", Round::Down)?, not_before: seconds("nbf", Round::Up)?, issued: seconds("iat", Round::Up)? };
    let (subject, token_id, client_id, authorized) = (text("sub")?, text("jti")?, text("client_id")?, text("azp")?);
    let audiences = claims.texts("aud").map_err(|_| Refused::Claim)?;
    let scopes = scopes(claims)?;

    let expires_at_s = times.hold(issuer, now_s)?;
    let audience = audience(audiences.as_ref(), issuer, expected_audience)?;
    let subject = subject.filter(|subject| (1..=NAME_BYTES_MAX).contains(&subject.len())).ok_or(Refused::Subject)?;
    is_access(claims)?;
    let client_id = client_id.or(authorized);
    if [token_id, client_id].into_iter().flatten().any(|name| name.len() > NAME_BYTES_MAX) {
        return Err(Refused::Claim);
    }
    Ok(Accepted { subject, audience, scopes, expires_at_s, token_id, client_id })
}

impl Times {
    /// RFC 7519, 4.1.4 to 4.1.6. Gives the end.
    fn hold(&self, issuer: &Issuer, now_s: u64) -> Result<u64, Refused> {
        let expires = self.expires.ok_or(Refused::ExpiryMissing)?;
        // A clock that is beyond all years ends everything.
        let now = i64::try_from(now_s).map_err(|_| Refused::Expired)?;
        let (leeway, lifetime_max) = (i64::from(issuer.leeway_s), i64::from(issuer.lifetime_max_s));
        if now >= expires.saturating_add(leeway) {
            return Err(Refused::Expired);
        }
        let is_to_come = |start: i64| start > now.saturating_add(leeway);
        if self.not_before.is_some_and(is_to_come) {
            return Err(Refused::NotYet);
        }
        if self.issued.is_some_and(is_to_come) {
            return Err(Refused::IssuedLater);
        }
        let fits = match self.issued {
            Some(issued) => (1..=lifetime_max).contains(&expires.saturating_sub(issued)),
            None => expires.saturating_sub(now) <= lifetime_max.saturating_add(leeway),
        };
        if !fits {
            return Err(Refused::Lifetime);
        }
        u64::try_from(expires).map_err(|_| Refused::Expired)
    }
}

/// RFC 7519, 4.1.3: one text or several, and one of them is equal, byte for byte.
fn audience<'a>(audiences: Option<&Texts<'a>>, issuer: &Issuer, expected: &str) -> Result<&'a str, Refused> {
    let Some(audiences) = audiences.map(Texts::as_slice).filter(|all| all.len() <= AUDIENCES_MAX) else {
        return Err(Refused::Audience);
    };
    let find = |wanted: &str| audiences.iter().find(|audience| !audience.is_empty() && **audience == wanted);
    let found = find(expected).or_else(|| issuer.audiences.iter().find_map(|wanted| find(wanted)));
    found.copied().ok_or(Refused::Audience)
}

/// Issuers that sign everything with one key and one `typ` say inside what a token is for: Keycloak in `typ`, Cognito in `token_use`
/// (RFC 8725, 3.12). Other words, and other types, are somebody's private claims.
fn is_access(claims: &Object) -> Result<(), Refused> {
    let other = |name, words: &[&str]| {
        let said = claims.text(name).ok().flatten();
        said.is_some_and(|said| words.iter().any(|word| said.eq_ignore_ascii_case(word)))
    };
    if other("typ", &["ID", "Refresh", "Offline", "Logout"]) || other("token_use", &["id", "refresh"]) {
        return Err(Refused::Purpose);
    }
    Ok(())
}

/// `scope` (RFC 8693, 4.2; RFC 9068, 2.2.3) or `scp`, each a text with blanks between, or several texts: issuers write all four. Both must say
/// the same, or it would depend on the reader what was granted.
fn scopes(claims: &Object) -> Result<Vec<&str>, Refused> {
    let read = |name| match claims.texts(name) {
        Ok(None) => Ok(None),
        Ok(Some(Texts::One(text))) => listed(text.split(' ').filter(|scope| !scope.is_empty())).map(Some),
        Ok(Some(Texts::Many(texts))) => listed(texts.into_iter()).map(Some),
        Err(_) => Err(Refused::Claim),
    };
    match (read("scope")?, read("scp")?) {
        (None, None) => Ok(Vec::new()),
        (Some(scopes), None) | (None, Some(scopes)) => Ok(scopes),
        (Some(one), Some(other)) => {
            let same = one.len() == other.len() && one.iter().all(|scope| other.contains(scope));
            if same { Ok(one) } else { Err(Refused::Scope) }
        }
    }
}

fn listed<'a>(scopes: impl Iterator<Item = &'a str>) -> Result<Vec<&'a str>, Refused> {
    let mut listed = Vec::new();
    for (at, scope) in scopes.enumerate() {
        if at >= SCOPES_MAX || !is_scope(scope) {
            return Err(Refused::Scope);
        }
        if !listed.contains(&scope) {
            listed.push(scope);
        }
    }
    Ok(listed)
}

/// Whether a text can be a scope (RFC 6749, 3.3): visible ASCII without the quote and the backslash, which a challenge could not repeat.
pub fn is_scope(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (1..=SCOPE_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}
