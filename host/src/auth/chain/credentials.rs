//! Credentials that the gateway does not know by itself, and the policies that do. They are the only ones that ever see one.
//!
//! A policy can say who somebody is, and not that it is somebody whom another vouches for: its word is that of the issuer `policy:NAME`.

use super::{Attached, Policies};
use crate::auth::bearer::{Known, Shown};
use crate::auth::{Owner, Principal, Refusal, Unknown};
use crate::config::{POLICY_ISSUER_PREFIX, PolicyMode, ServerId};
use crate::tenant::TenantId;
use mcp::{JsonLimits, JsonText};
use sandbox::{Credentials, Digest};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Of a credential, and of claims.
const BYTES_MAX: usize = 8_192;
const SUBJECT_BYTES_MAX: usize = 256;
const SCOPES_MAX: usize = 64;
/// What is begun with a credential ends after this: nobody says when the credential does.
const GOOD_FOR: Duration = Duration::from_secs(3_600);

/// The policy by whose word a caller is who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::auth) struct Voucher {
    policy: Arc<str>,
    component: Digest,
    /// Those that it decided by.
    settings: Arc<str>,
}

impl Policies {
    /// Whether anybody is asked about credentials.
    pub(in crate::auth) fn knows_credentials(&self) -> bool {
        !self.of_credentials.is_empty()
    }

    /// Whose the value of an `Authorization` header is: the first that knows says so.
    ///
    /// If it is dropped, nothing has happened.
    ///
    /// # Errors
    ///
    /// `refusal` where nobody knows, and why else there is nobody.
    pub(in crate::auth) async fn whose(
        &self,
        header: &[u8],
        server: Option<&ServerId>,
        address: Option<IpAddr>,
        refusal: Refusal,
    ) -> Result<Known, Unknown> {
        let Some(credentials) = credentials(header, server, address) else { return Err(Unknown::Refused(refusal)) };
        for policy in &self.of_credentials {
            let Some(present) = &policy.present else {
                tracing::error!(policy = %policy.name, "a policy's component is not there, so that it gives no answer");
                if policy.mode == PolicyMode::Enforce {
                    return Err(Unknown::NoAnswer);
                }
                continue;
            };
            let said = Box::pin(self.sandbox.authenticate(&present.guest, present.settings.clone(), credentials.clone())).await;
            let said = match (said, policy.mode) {
                (Ok(said), PolicyMode::Enforce) => said,
                (Ok(said), PolicyMode::DryRun) => {
                    let (known, denied) = (matches!(said, Ok(Some(_))), said.is_err());
                    tracing::info!(policy = %policy.name, known, denied, "a policy on trial looked at a credential");
                    continue;
                }
                (Err(fault), mode) => {
                    let _ = super::failed((&policy.name, mode), &fault);
                    match mode {
                        PolicyMode::Enforce => return Err(Unknown::NoAnswer),
                        PolicyMode::DryRun => continue,
                    }
                }
            };
            match said {
                Ok(None) => {}
                Ok(Some(principal)) => {
                    let voucher = Voucher {
                        policy: Arc::clone(&policy.name),
                        component: present.guest.digest(),
                        settings: present.settings.as_str().into(),
                    };
                    return self.known(voucher, principal);
                }
                Err(denial) => {
                    let reason = mcp::text::line(&denial.reason, 256);
                    tracing::info!(policy = %policy.name, %reason, "a policy refused a credential");
                    return Err(Unknown::Refused(Refusal::Policy));
                }
            }
        }
        Err(Unknown::Refused(refusal))
    }

    /// What a policy says of somebody is as little to be trusted as what somebody says of itself.
    fn known(&self, voucher: Voucher, said: sandbox::Principal) -> Result<Known, Unknown> {
        let policy = Arc::clone(&voucher.policy);
        principal(voucher, said, &self.json).map_err(|wrong| {
            tracing::error!(%policy, wrong, "a policy did not come to an answer that can be used, which counts as no");
            Unknown::NoAnswer
        })
    }

    /// Whether the policy that vouched for somebody still does, as far as that can be said without the credential.
    pub(in crate::auth) fn still_vouches(&self, voucher: &Voucher) -> bool {
        self.of_credentials.iter().filter(|policy| policy.name == voucher.policy && policy.mode == PolicyMode::Enforce).any(|policy| {
            let same = |present: &Arc<super::Present>| present.guest.digest() == voucher.component && present.settings == *voucher.settings;
            policy.present.as_ref().is_some_and(same)
        })
    }

    /// Whether one of them can vouch for that owner.
    pub(in crate::auth) fn vouches_for(&self, owner: &Owner) -> bool {
        let policy = owner.identity().0.and_then(|issuer| issuer.strip_prefix(POLICY_ISSUER_PREFIX));
        policy.is_some_and(|name| self.of_credentials.iter().any(|policy| &*policy.name == name && policy.mode == PolicyMode::Enforce))
    }
}

impl Attached {
    /// Of one that is not there nobody knows what it would have known.
    pub(super) fn authenticates(&self) -> bool {
        self.present.as_ref().is_none_or(|present| present.guest.kinds().authenticates)
    }
}

/// RFC 9110, 11.4: a scheme, blanks, and the rest.
fn credentials(header: &[u8], server: Option<&ServerId>, address: Option<IpAddr>) -> Option<Credentials> {
    let text = std::str::from_utf8(header).ok().filter(|text| text.len() <= BYTES_MAX)?;
    let (scheme, value) = text.split_once(' ')?;
    let is_scheme =
        (1..=64).contains(&scheme.len()) && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    is_scheme.then(|| Credentials {
        scheme: scheme.to_owned(),
        value: value.trim_start_matches(' ').to_owned(),
        server: server.map(ToString::to_string).unwrap_or_default(),
        remote_address: address.map(|address| address.to_canonical().to_string()),
    })
}

fn principal(voucher: Voucher, said: sandbox::Principal, json: &JsonLimits) -> Result<Known, &'static str> {
    let subject = said.subject.filter(|subject| (1..=SUBJECT_BYTES_MAX).contains(&subject.len()) && !subject.chars().any(char::is_control));
    let subject = subject.ok_or("there is no subject of 1 to 256 bytes without control characters")?;
    if said.scopes.len() > SCOPES_MAX || !said.scopes.iter().all(|scope| token::is_scope(scope)) {
        return Err("there are more than 64 scopes, or one is none");
    }
    let claims = said.claims.map(|claims| {
        let right = claims.len() <= BYTES_MAX && JsonText::parse(claims.as_str(), json).is_ok_and(|claims| claims.is_object());
        right.then(|| Arc::from(claims)).ok_or("the claims are no JSON object of 8 KiB at most")
    });
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs());
    let principal = Principal {
        issuer: Some(format!("{POLICY_ISSUER_PREFIX}{}", voucher.policy).into()),
        subject: Some(subject.into()),
        scopes: said.scopes.into_iter().map(Arc::from).collect(),
    };
    Ok(Known {
        principal,
        tenant: TenantId::of(&said.tenant),
        shown: Shown::Credential { voucher: Box::new(voucher), claims: claims.transpose()? },
        expires_at_s: Some(now_s.saturating_add(GOOD_FOR.as_secs())),
    })
}
