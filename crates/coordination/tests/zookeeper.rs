//! ZooKeeper keeps the contract. Runs when `ESP_MESH_ZOOKEEPER` names a server (`cargo xtask stack up` prints it).
#![cfg(feature = "zookeeper")]
#![allow(clippy::unwrap_used, reason = "a failed test should panic")]

mod contract;
mod proxy;

use std::sync::Arc;
use std::time::Duration;

use contract::elections::{Pair, data, until};
use contract::{soon, unique};
use mesh_coordination::{Elections, Error, SessionState, ZookeeperElections, ZookeeperOptions};

/// The server and a chroot of our own, or nothing when there is no server to test against.
fn hosts() -> Option<String> {
    match std::env::var("ESP_MESH_ZOOKEEPER") {
        Ok(address) => Some(format!("{address}/{}", unique("esp-mesh-test"))),
        Err(_) => {
            eprintln!("skipped: ESP_MESH_ZOOKEEPER is not set");
            None
        }
    }
}

async fn connect(hosts: &str) -> ZookeeperElections {
    let options = ZookeeperOptions {
        hosts: hosts.into(),
        session_timeout: Duration::from_secs(1),
        call_timeout: Duration::from_secs(2),
        tls: None,
    };
    let elections = ZookeeperElections::start(options).unwrap();
    let mut session = elections.session();
    soon("a session", async { while session.next().await.unwrap().state != SessionState::Connected {} }).await;
    elections
}

#[tokio::test]
async fn elections_keep_the_contract() {
    let Some(hosts) = hosts() else { return };
    let (one, two) = (connect(&hosts).await, connect(&hosts).await);
    contract::elections::all(Pair { one: Arc::new(one), two: Arc::new(two) }).await;
}

#[tokio::test]
async fn a_cut_connection_is_reported_and_the_expired_session_replaced() {
    let Some(hosts) = hosts() else { return };
    let (server, chroot) = hosts.split_once('/').unwrap();
    let proxy = proxy::Proxy::start(server).await;
    let cut_off = connect(&format!("{}/{chroot}", proxy.address())).await;
    let healthy = connect(&hosts).await;
    let mut session = cut_off.session();
    let first = session.next().await.unwrap();
    let mut seen_by_cut_off = cut_off.watch("g");
    cut_off.join("g", &data("a")).await.unwrap();
    healthy.join("g", &data("b")).await.unwrap();
    until(&mut seen_by_cut_off, "both", |state| state.candidates.len() == 2).await;
    let mut seen = healthy.watch("g");
    until(&mut seen, "both", |state| state.candidates.len() == 2).await;

    proxy.set_cut(true);
    assert_eq!(soon("disconnected", session.next()).await.unwrap().state, SessionState::Disconnected);
    let error = cut_off.join("g", &data("c")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    until(&mut seen, "the cut-off candidate expires", |state| state.candidates.len() == 1).await;
    proxy.set_cut(false);
    let renewed = soon("a new session", async {
        loop {
            let now = session.next().await.unwrap();
            if now.state == SessionState::Connected {
                return now;
            }
        }
    })
    .await;
    assert_eq!(renewed.number, first.number + 1);
    until(&mut seen_by_cut_off, "the watch goes on across sessions", |state| state.candidates.len() == 1).await;
    cut_off.join("g", &data("a")).await.unwrap();
    until(&mut seen_by_cut_off, "and shows changes", |state| state.candidates.len() == 2).await;
    until(&mut seen, "to both", |state| state.candidates.len() == 2).await;
}

#[tokio::test]
async fn without_a_server_calls_fail_within_their_limit_and_say_where() {
    let nowhere = ZookeeperOptions {
        hosts: "127.0.0.1:1".into(),
        session_timeout: Duration::from_secs(1),
        call_timeout: Duration::from_millis(200),
        tls: None,
    };
    let elections = ZookeeperElections::start(nowhere.clone()).unwrap();
    let error = soon("an answer", elections.leader("g")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    let error = ZookeeperElections::start(ZookeeperOptions { hosts: "zk1,zk2:2181".into(), ..nowhere }).unwrap_err();
    assert!(error.to_string().contains("found `zk1`, expected `host:port,host:port/chroot`"), "{error}");
}
