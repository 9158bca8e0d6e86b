//! The bus port and its implementations: Kafka and memory.
