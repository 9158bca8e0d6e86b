//! The readers of the window kinds, a file per kind.

pub(crate) mod aggregate;
pub(crate) mod algorithm;
pub(crate) mod calculate;
pub(crate) mod calls;
pub(crate) mod compute;
pub(crate) mod custom;
pub(crate) mod functional;
pub(crate) mod geofence;
pub(crate) mod initialize;
pub(crate) mod join;
pub(crate) mod learn;
pub(crate) mod lua;
pub(crate) mod notification;
pub(crate) mod pattern;
pub(crate) mod shape;
pub(crate) mod source;
pub(crate) mod summary;
pub(crate) mod tracker;
pub(crate) mod transpose;
