//! The program as users run it: its output, its errors, its exit codes.
#![allow(clippy::unwrap_used)] // a helper that fails, fails its test

mod blocks;
mod configuration;
mod examples;
mod local;
mod mesh;
mod misconfiguration;
mod offline;
mod project_run;
mod support;
