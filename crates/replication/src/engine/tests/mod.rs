//! The role against a small bus with fencing and a naive machine; every test ends with the same check of the output.

mod recovery;
mod scenarios;
mod world;
