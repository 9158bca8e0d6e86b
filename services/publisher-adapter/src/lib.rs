//! Publishes files and sockets to an input topic, exactly once.
