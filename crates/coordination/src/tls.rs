//! What a client of ZooKeeper or etcd trusts and shows.

/// Certificates of a connection, as the text of PEM files.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsPem {
    /// The authorities that the servers' certificates must come from.
    pub ca: String,
    /// Certificate and private key of this client, where the servers ask for one.
    pub identity: Option<(String, String)>,
}

/// Nothing of a key is ever shown.
impl std::fmt::Debug for TlsPem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsPem").field("identity", &self.identity.is_some()).finish_non_exhaustive()
    }
}
