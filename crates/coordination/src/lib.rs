//! Ports for election and desired state, and their implementations: ZooKeeper, etcd, memory.
