//! Runs projects as deterministic replicas behind the bus.
