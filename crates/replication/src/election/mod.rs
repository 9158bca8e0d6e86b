//! Who leads a group: the election's decisions, sans I/O.
