//! The replication protocol, sans I/O: engine roles, election, adapters.
