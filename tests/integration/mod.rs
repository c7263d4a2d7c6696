//! One file a subject.

mod start;
