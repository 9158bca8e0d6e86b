//! Settings of the open ports: certificates, tokens, connections.

use serde::{Deserialize, Serialize};

/// Certificates, as PEM files. Empty paths: connections are not encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsConfig {
    /// PEM file with the certificate of this process and those between it and its authority. The gRPC and REST servers
    /// take only TLS then; those that this process calls are shown it if they ask for one.
    pub cert: String,
    /// PEM file with the certificate's private key.
    pub key: String,
    /// PEM file with authorities: callers must show a certificate of one of them (mTLS); empty: none is asked for.
    pub client_ca: String,
    /// PEM file with the authorities of those whom this process calls: coordinators, election instances, engines. Set:
    /// they are called with TLS only.
    pub ca: String,
}

/// Tokens, in files, so that neither a command line nor the environment shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    /// TOML file with the tokens that callers may use, with a role each; empty: whoever reaches a port may use it.
    pub tokens: String,
    /// File with the token that this process shows to those whom it calls; it needs the role `mesh`.
    pub token_file: String,
}

/// Certificates of a connection to a server outside the mesh, as PEM files. `ca` empty: not encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientTls {
    /// PEM file with the authorities of the servers' certificates; set: they are reached over TLS only.
    pub ca: String,
    /// PEM file with the certificate of this client, where the servers ask for one.
    pub cert: String,
    /// PEM file with its private key.
    pub key: String,
}
