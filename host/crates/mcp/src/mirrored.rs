//! Tool parameters that are repeated in headers: `x-mcp-header` (1.5, rung 6).

mod number;

use crate::header::{self, HeaderValues};
use crate::members::Members;
use crate::modern::{HeaderFault, Refusal};
use number::Decimal;
use serde_json::{Value, value::RawValue};
use std::fmt;

/// The schema keyword.
pub const KEYWORD: &str = "x-mcp-header";
/// What the header's name begins with.
pub const HEADER_PREFIX: &str = "Mcp-Param-";

/// Why a tool's annotations are invalid. Clients drop such a tool, so it is not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorError {
    /// The annotation is not a non-empty token of RFC 9110.
    NotAToken,
    /// Two parameters share a header; names are compared without case.
    Twice(Box<str>),
    /// The parameter's type is not `string`, `integer` or `boolean`.
    Type(Box<str>),
    /// It stands where no chain of `properties` leads from the root.
    Unreachable(Box<str>),
}

impl fmt::Display for MirrorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MirrorError::NotAToken => write!(f, "{KEYWORD} must be a token (RFC 9110)"),
            MirrorError::Twice(name) => write!(f, "{KEYWORD} \"{name}\" is used twice"),
            MirrorError::Type(name) => {
                write!(f, "{KEYWORD} \"{name}\" must stand on a string, integer or boolean")
            }
            MirrorError::Unreachable(name) => {
                write!(f, "{KEYWORD} \"{name}\" must be reached by properties only")
            }
        }
    }
}

impl std::error::Error for MirrorError {}

/// One annotated parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parameter {
    /// With its prefix.
    header: Box<str>,
    /// The members that lead to it from `arguments`.
    path: Box<[Box<str>]>,
}

/// A tool's annotated parameters; for most tools there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderParameters(Box<[Parameter]>);

impl HeaderParameters {
    /// Finds the annotations in a tool's input schema.
    ///
    /// # Errors
    /// The first annotation that is invalid.
    pub fn from_schema(input_schema: &Value) -> Result<HeaderParameters, MirrorError> {
        let mut found: Vec<Parameter> = Vec::new();
        // The path is `None` once something else than `properties` was on the way.
        let mut open: Vec<(&Value, Option<Vec<Box<str>>>)> = vec![(input_schema, Some(Vec::new()))];
        while let Some((schema, path)) = open.pop() {
            let members = match schema {
                Value::Object(members) => members,
                Value::Array(items) => {
                    open.extend(items.iter().map(|item| (item, None)));
                    continue;
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => continue,
            };
            if let Some(name) = members.get(KEYWORD) {
                let parameter = annotated(name, members.get("type"), path.as_deref())?;
                let same = |other: &Parameter| other.header.eq_ignore_ascii_case(&parameter.header);
                if found.iter().any(same) {
                    return Err(MirrorError::Twice(parameter.header));
                }
                found.push(parameter);
            }
            for (keyword, value) in members {
                match (keyword.as_str(), value) {
                    ("properties", Value::Object(properties)) => {
                        for (name, property) in properties {
                            let path = path.as_ref().map(|path| {
                                let mut longer = path.clone();
                                longer.push(name.as_str().into());
                                longer
                            });
                            open.push((property, path));
                        }
                    }
                    // Maps from names to schemas: the names are not keywords.
                    ("patternProperties" | "$defs" | "definitions" | "dependentSchemas", Value::Object(schemas)) => {
                        open.extend(schemas.values().map(|schema| (schema, None)))
                    }
                    // Data, not schemas.
                    ("const" | "enum" | "default" | "examples", _) => {}
                    (_, value) => open.push((value, None)),
                }
            }
        }
        found.sort_by(|a, b| a.header.cmp(&b.header));
        Ok(HeaderParameters(found.into()))
    }

    /// Whether there are none: the usual case.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rung 6: each annotated parameter that has a value (other than null) is repeated in its header, and no other is.
    /// `lookup` gives the values of a header by name, without regard to case.
    ///
    /// # Errors
    /// [`Refusal::Header`] for the first header that is missing, superfluous, there twice, malformed or different.
    pub fn check<'h>(&self, arguments: Option<&RawValue>, lookup: &dyn Fn(&str) -> HeaderValues<'h>) -> Result<(), Refusal> {
        for parameter in &self.0 {
            let value = lookup(&parameter.header);
            compare(parameter.value(arguments), value).map_err(|fault| Refusal::Header { header: parameter.header.clone(), fault })?;
        }
        Ok(())
    }
}

impl Parameter {
    /// Its value in `arguments`; `None` where there is none, or null.
    fn value<'a>(&self, arguments: Option<&'a RawValue>) -> Option<&'a RawValue> {
        let mut at = arguments?;
        for name in &self.path {
            at = Members::of(at.get())?.optional(name)?;
        }
        Some(at)
    }
}

fn annotated(name: &Value, kind: Option<&Value>, path: Option<&[Box<str>]>) -> Result<Parameter, MirrorError> {
    let name = name.as_str().filter(|name| is_token(name)).ok_or(MirrorError::NotAToken)?;
    let header: Box<str> = format!("{HEADER_PREFIX}{name}").into();
    let path = match path {
        None | Some([]) => return Err(MirrorError::Unreachable(name.into())),
        Some(path) => path.into(),
    };
    match kind.and_then(Value::as_str) {
        Some("string" | "integer" | "boolean") => Ok(Parameter { header, path }),
        Some(_) | None => Err(MirrorError::Type(name.into())),
    }
}

/// RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

fn compare(body: Option<&RawValue>, header: HeaderValues<'_>) -> Result<(), HeaderFault> {
    let (body, value) = match (body, header) {
        (None, HeaderValues::Absent) => return Ok(()),
        (_, HeaderValues::Many) => return Err(HeaderFault::Repeated),
        (None, HeaderValues::Once(_)) => return Err(HeaderFault::Unmatched),
        (Some(_), HeaderValues::Absent) => return Err(HeaderFault::Absent),
        (Some(body), HeaderValues::Once(value)) => (body.get(), value),
    };
    let value = header::decode(value).map_err(HeaderFault::Malformed)?;
    let equal = match body.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(body).is_ok_and(|text| text == value),
        Some(b't' | b'f') => body == value,
        // 42 equals 42.0 and 4.2e1.
        Some(b'-' | b'0'..=b'9') => match (Decimal::parse(body), Decimal::parse(&value)) {
            (Some(body), Some(_)) if !body.is_safe() => return Err(HeaderFault::OutOfRange),
            (Some(body), Some(value)) => body == value,
            (None | Some(_), None | Some(_)) => false,
        },
        Some(_) | None => false, // A container: no header can say it.
    };
    if equal { Ok(()) } else { Err(HeaderFault::differs(&value, body)) }
}

#[cfg(test)]
mod tests;
