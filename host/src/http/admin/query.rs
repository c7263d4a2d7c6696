//! The query of an address.

use super::Problem;
use crate::config::TenantId;
use axum::http::StatusCode;

/// The values of these parameters, in their order. Each stands once at most, and none that there is not. Nothing is decoded: no value has a
/// character that would have to be.
pub(super) fn read<'q, const N: usize>(query: &'q str, names: [&str; N]) -> Result<[Option<&'q str>; N], Problem> {
    let mut values = [None; N];
    for (name, value) in query.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, ""))) {
        let place = names.iter().zip(&mut values).find(|(known, _)| **known == name).map(|(_, place)| place);
        let place = place.ok_or_else(|| wrong("the query has a parameter that there is not"))?;
        if place.replace(value).is_some() {
            return Err(wrong("the query says something twice"));
        }
    }
    Ok(values)
}

/// A tenant that there may be.
pub(super) fn tenant(name: &str) -> Result<TenantId, Problem> {
    TenantId::parse(name).ok_or_else(|| wrong("tenant: this is no tenant's name"))
}

/// What is wrong with it.
pub(super) fn wrong(what: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, what)
}
