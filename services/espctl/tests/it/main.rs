//! The program as users run it: its output, its errors, its exit codes.

mod blocks;
mod mesh;
mod offline;
mod support;
