//! End-to-end tests on real Kafka, ZooKeeper, etcd and Jaeger.
