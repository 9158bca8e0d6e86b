//! Expression language: parse, check, compile to typed code.
