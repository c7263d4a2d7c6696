//! `notifications/progress`.

use crate::Revision;
use crate::meta::ProgressToken;
use crate::text::Object;
use crate::write;

/// A finite number of steps, bytes or whatever the tool counts.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Amount(f64);

impl Amount {
    /// `None` for infinities and NaN, which JSON cannot say.
    #[must_use]
    pub fn new(value: f64) -> Option<Amount> {
        value.is_finite().then_some(Amount(value))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// How far a call has come. The host sees to it that `progress` only grows.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What is done.
    pub progress: Amount,
    /// What there is to do, if known.
    pub total: Option<Amount>,
    /// A sentence for people; left out before 2025-03-26.
    pub message: Option<Box<str>>,
}

impl Progress {
    /// The notification for the request that gave `token`, which is echoed with its JSON type.
    #[must_use]
    pub fn write(&self, revision: Revision, token: &ProgressToken) -> Vec<u8> {
        let mut params = Object::new();
        params.raw("progressToken", &token.write());
        params.number("progress", self.progress.get());
        if let Some(total) = self.total {
            params.number("total", total.get());
        }
        if revision.progress_messages() {
            params.string_if("message", self.message.as_deref());
        }
        write::notification("notifications/progress", Some(&params.end()))
    }
}

#[cfg(test)]
mod tests;
