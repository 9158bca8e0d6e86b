//! What an adapter decides, without its I/O: where a publisher goes on after a restart or an unknown outcome, and
//! whether what a subscriber reads is gapless.
