//! Desired state on etcd.
//!
//! This file makes the calls; `watch` turns the watch streams, which do not resume by themselves, into whole listings.

mod watch;

use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, DeleteOptions, GetOptions, GetResponse, Identity,
    KvClient, TlsOptions, Txn, TxnOp, TxnOpResponse,
};

use crate::registry::{check_put, describe, describe_found};
use crate::{Entry, Error, Expected, Latest, Listing, Registry, TlsPem, check_key};

/// Most bytes of one listing; the values under a prefix have to fit.
const MAX_LISTING_BYTES: usize = 64 * 1024 * 1024;
/// Signs of life on an idle connection, so that a dead one is noticed and replaced.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(1);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// How to reach etcd.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// Members, each `host:port` or a URL.
    pub endpoints: Vec<String>,
    /// Put before every key, e.g. `/esp-mesh/`; lets several meshes share an etcd.
    pub prefix: String,
    /// Longest wait for a reply.
    pub call_timeout: Duration,
    /// With it, members named `host:port` are reached over TLS.
    pub tls: Option<TlsPem>,
}

/// A registry on etcd. Clones share the connection.
#[derive(Clone)]
pub struct EtcdRegistry {
    client: Client,
    options: EtcdOptions,
}

impl std::fmt::Debug for EtcdRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EtcdRegistry").field("options", &self.options).finish_non_exhaustive()
    }
}

impl EtcdRegistry {
    /// Connects in the background: with etcd down, calls fail until it is back.
    pub async fn start(options: EtcdOptions) -> Result<Self, Error> {
        let attempted = format!("use etcd at `{}`", options.endpoints.join(","));
        if options.endpoints.is_empty() || options.call_timeout.is_zero() {
            let reason = "expected at least one `host:port`, and a call timeout above 0";
            return Err(Error::invalid(attempted, reason));
        }
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(options.call_timeout)
            .with_keep_alive(KEEP_ALIVE_EVERY, KEEP_ALIVE_TIMEOUT)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true);
        if let Some(TlsPem { ca, identity }) = &options.tls {
            let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
            if let Some((cert, key)) = identity {
                tls = tls.identity(Identity::from_pem(cert, key));
            }
            connect = connect.with_tls(tls);
        }
        let client = Client::connect(&options.endpoints, Some(connect)).await.map_err(|error| {
            Error::invalid(attempted, format!("{error}; expected `host:port` or `http://host:port`"))
        })?;
        Ok(Self { client, options })
    }

    fn kv(&self) -> KvClient {
        self.client.kv_client().max_decoding_message_size(MAX_LISTING_BYTES)
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.options.prefix)
    }

    /// Runs one call with the time limit; `change` says whether a lost reply leaves something unknown.
    async fn run<T>(
        &self,
        attempted: &str,
        change: Change,
        call: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, Error> {
        let waited = self.options.call_timeout;
        let lost = |reason: String| match change {
            Change::No => {
                Error::unavailable(attempted, format!("{reason} (etcd at {})", self.options.endpoints.join(",")))
            }
            Change::Yes => Error::Unknown { attempted: attempted.to_owned(), waited, reason },
        };
        match tokio::time::timeout(waited, call).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(etcd_client::Error::InvalidArgs(reason))) => Err(Error::invalid(attempted, reason)),
            Ok(Err(error)) => Err(lost(error.to_string())),
            Err(_) => Err(lost("etcd did not answer in time".into())),
        }
    }

    async fn list_at(&self, prefix: &str) -> Result<Listing, Error> {
        let attempted = format!("list `{prefix}`");
        let mut kv = self.kv();
        let options = GetOptions::new().with_prefix();
        let reply = self.run(&attempted, Change::No, kv.get(self.key(prefix), Some(options))).await?;
        let entries = reply.kvs().iter().filter_map(|kv| self.entry(kv)).collect();
        Ok(Listing { revision: revision(reply.header()), entries })
    }

    fn entry(&self, kv: &etcd_client::KeyValue) -> Option<Entry> {
        // a key that is no text was not written by us
        let key = kv.key_str().ok()?.strip_prefix(&self.options.prefix)?.to_owned();
        Some(Entry { key, value: kv.value().to_vec(), revision: unsigned(kv.mod_revision()) })
    }

    /// One transaction: the change if the key is as expected, else what is there.
    async fn change(&self, attempted: &str, key: &str, expected: Expected, op: TxnOp) -> Result<Changed, Error> {
        let full = self.key(key);
        let condition = match expected {
            Expected::Any => None,
            Expected::Absent => Some(0),
            // a revision that etcd cannot have is one that is not there
            Expected::Revision(revision) => Some(i64::try_from(revision).unwrap_or(i64::MAX)),
        };
        let compare: Vec<_> = condition
            .map(|revision| Compare::mod_revision(full.clone(), CompareOp::Equal, revision))
            .into_iter()
            .collect();
        let txn = Txn::new().when(compare).and_then([op]).or_else([TxnOp::get(full, None)]);
        let mut kv = self.kv();
        let reply = self.run(attempted, Change::Yes, kv.txn(txn)).await?;
        let mut responses = reply.op_responses();
        if reply.succeeded() {
            let deleted = matches!(responses.pop(), Some(TxnOpResponse::Delete(reply)) if reply.deleted() > 0);
            return Ok(Changed { revision: revision(reply.header()), deleted });
        }
        let found = match responses.pop() {
            Some(TxnOpResponse::Get(reply)) => found_revision(&reply),
            _ => None,
        };
        Err(Error::conflict(attempted, describe(expected), describe_found(found)))
    }
}

/// Whether a call changes anything.
#[derive(Clone, Copy)]
enum Change {
    Yes,
    No,
}

struct Changed {
    revision: u64,
    deleted: bool,
}

fn found_revision(reply: &GetResponse) -> Option<u64> {
    reply.kvs().first().map(|kv| unsigned(kv.mod_revision()))
}

/// Revisions of etcd begin at 1 and only rise.
fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or_default()
}

fn revision(header: Option<&etcd_client::ResponseHeader>) -> u64 {
    header.map_or(0, |header| unsigned(header.revision()))
}

#[async_trait]
impl Registry for EtcdRegistry {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        check_key(key)?;
        let mut kv = self.kv();
        let reply = self.run(&format!("read `{key}`"), Change::No, kv.get(self.key(key), None)).await?;
        Ok(reply.kvs().first().and_then(|kv| self.entry(kv)))
    }

    async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        self.list_at(prefix).await
    }

    async fn put(&self, key: &str, value: Vec<u8>, expected: Expected) -> Result<u64, Error> {
        check_put(key, &value)?;
        let op = TxnOp::put(self.key(key), value, None);
        Ok(self.change(&format!("write `{key}`"), key, expected, op).await?.revision)
    }

    async fn delete(&self, key: &str, expected: Expected) -> Result<bool, Error> {
        check_key(key)?;
        let op = TxnOp::delete(self.key(key), None::<DeleteOptions>);
        Ok(self.change(&format!("delete `{key}`"), key, expected, op).await?.deleted)
    }

    fn watch(&self, prefix: &str, from: Option<u64>) -> Latest<Listing> {
        watch::start(self.clone(), prefix.to_owned(), from)
    }
}
