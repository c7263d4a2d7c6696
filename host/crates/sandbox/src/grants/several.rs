//! Things that are granted, shared by all who run with them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Several things, cheap to clone; where there are none, a clone counts nothing. Most runs are granted nothing of most kinds, and a counter that two
/// processors write costs a small guest's call more than what it counts.
pub struct Several<T>(Option<Arc<[T]>>);

impl<T> Clone for Several<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for Several<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<T> FromIterator<T> for Several<T> {
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Self {
        let mut things = things.into_iter().peekable();
        Self(if things.peek().is_some() { Some(things.collect()) } else { None })
    }
}

impl<T: fmt::Debug> fmt::Debug for Several<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
