//! Where the stack and the programs are, as `cargo xtask test` and `cargo xtask bench` say.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Addresses of the stack's parts, and the folder of the programs.
#[derive(Debug, Clone)]
pub struct Env {
    /// Kafka brokers, `host:port,...`.
    pub kafka: String,
    /// ZooKeeper, `host:port`.
    pub zookeeper: String,
    /// etcd, `host:port`.
    pub etcd: String,
    /// Jaeger's query API, `http://host:port`.
    pub jaeger: String,
    /// OTLP collector, `http://host:port`.
    pub otlp: String,
    /// The same parts over TLS, and the certificates.
    pub tls: Tls,
    /// Folder of the release binaries.
    pub bin: PathBuf,
}

/// The stack over TLS: it takes only clients with a certificate of its own authority.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Kafka brokers, `host:port,...`.
    pub kafka: String,
    /// ZooKeeper, `host:port`.
    pub zookeeper: String,
    /// etcd, `host:port`.
    pub etcd: String,
    /// Folder with `ca.pem`, and `.pem` and `.key` of `server` (for 127.0.0.1) and `client`.
    pub folder: PathBuf,
}

impl Tls {
    /// Path of one of the files.
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Env {
    /// Reads the `ESP_MESH_*` variables.
    pub fn read() -> Result<Env> {
        let get = |name: &str| {
            std::env::var(name)
                .with_context(|| format!("{name} is not set: run these tests with `cargo xtask test --e2e`"))
        };
        let http = |address: String| if address.contains("://") { address } else { format!("http://{address}") };
        Ok(Env {
            kafka: get("ESP_MESH_KAFKA")?,
            zookeeper: get("ESP_MESH_ZOOKEEPER")?,
            etcd: get("ESP_MESH_ETCD")?,
            jaeger: http(get("ESP_MESH_JAEGER")?),
            otlp: http(get("ESP_MESH_OTLP")?),
            tls: Tls {
                kafka: get("ESP_MESH_KAFKA_TLS")?,
                zookeeper: get("ESP_MESH_ZOOKEEPER_TLS")?,
                etcd: get("ESP_MESH_ETCD_TLS")?,
                folder: PathBuf::from(get("ESP_MESH_TLS")?),
            },
            bin: PathBuf::from(get("ESP_MESH_BIN")?),
        })
    }
}
