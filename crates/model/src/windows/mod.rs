//! The readers of the window kinds, a file per kind.

pub(crate) mod compute;
pub(crate) mod functional;
pub(crate) mod source;
pub(crate) mod summary;
