//! The rules one by one, and all of them in seeded random runs.

mod maintenance;
mod random;
mod rules;
mod world;
