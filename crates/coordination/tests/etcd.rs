//! etcd keeps the contract. Runs when `ESP_MESH_ETCD` names a server (`cargo xtask stack up` prints it).
#![cfg(feature = "etcd")]
#![allow(clippy::unwrap_used, reason = "a failed test should panic")]

mod contract;
mod proxy;

use std::time::Duration;

use contract::registry::until;
use contract::{soon, unique};
use mesh_coordination::{Error, EtcdOptions, EtcdRegistry, Expected, Registry};
use proxy::Proxy;

fn server() -> Option<String> {
    let address = std::env::var("ESP_MESH_ETCD").ok();
    if address.is_none() {
        eprintln!("skipped: ESP_MESH_ETCD is not set");
    }
    address
}

async fn connect(endpoint: &str, prefix: &str) -> EtcdRegistry {
    let options = EtcdOptions {
        endpoints: vec![endpoint.into()],
        prefix: prefix.into(),
        call_timeout: Duration::from_secs(2),
        tls: None,
    };
    EtcdRegistry::start(options).await.unwrap()
}

#[tokio::test]
async fn the_registry_keeps_the_contract() {
    let Some(server) = server() else { return };
    contract::registry::all(&connect(&server, &unique("/esp-mesh-test/")).await).await;
}

#[tokio::test]
async fn a_watch_outlives_a_broken_connection() {
    let Some(server) = server() else { return };
    let proxy = Proxy::start(&server).await;
    let prefix = unique("/esp-mesh-test/");
    let cut_off = connect(proxy.address(), &prefix).await;
    let healthy = connect(&server, &prefix).await;
    healthy.put("p/a", b"1".to_vec(), Expected::Any).await.unwrap();
    let mut watch = cut_off.watch("p/", None);
    until(&mut watch, "the first value", |listing| listing.entries.len() == 1).await;

    proxy.set_cut(true);
    healthy.put("p/b", b"1".to_vec(), Expected::Any).await.unwrap();
    let error = soon("an error", async {
        loop {
            if let Err(error) = cut_off.get("p/a").await {
                return error;
            }
        }
    })
    .await;
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    proxy.set_cut(false);
    until(&mut watch, "what changed meanwhile", |listing| listing.entries.len() == 2).await;
    healthy.put("p/c", b"1".to_vec(), Expected::Any).await.unwrap();
    until(&mut watch, "what changed afterwards", |listing| listing.entries.len() == 3).await;
}

#[tokio::test]
async fn a_watch_from_a_compacted_revision_begins_with_the_present_state() {
    let Some(server) = server() else { return };
    let registry = connect(&server, &unique("/esp-mesh-test/")).await;
    let old = registry.put("p/a", b"1".to_vec(), Expected::Any).await.unwrap();
    registry.put("p/a", b"2".to_vec(), Expected::Any).await.unwrap();
    let now = registry.put("p/a", b"3".to_vec(), Expected::Any).await.unwrap();
    let mut client = etcd_client::Client::connect([&server], None).await.unwrap();
    client.compact(i64::try_from(now).unwrap(), None).await.unwrap();
    let mut watch = registry.watch("p/", Some(old));
    until(&mut watch, "the present value", |listing| listing.entries[0].value == b"3").await;
}

#[tokio::test]
async fn without_a_server_calls_fail_within_their_limit_and_say_where() {
    let registry = connect("127.0.0.1:1", "/x/").await;
    let error = soon("an answer", registry.get("a")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    let error = soon("an answer", registry.put("a", vec![], Expected::Any)).await.unwrap_err();
    assert!(matches!(error, Error::Unknown { .. } | Error::Unavailable { .. }), "{error}");
}
