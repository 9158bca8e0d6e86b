//! Limits of requests, over real sockets: what is too much is refused, with when to come again.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use mesh_proto::engine::StatusRequest;
use mesh_service::security::Caller;
use mesh_service::{Base, Kind, Refusal, Scope};
use tokio::net::TcpListener;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::play::{options, start_secured, within};
use crate::security::{ask, load};

fn limits(connection_rate_max: u32, server_rate_max: u32) -> Base {
    Base { connection_rate_max, server_rate_max, ..Base::default() }
}

#[tokio::test]
async fn a_connection_that_asks_too_often_is_told_when_to_come_again_and_another_one_is_served() {
    let mut running = start_secured(options(), &load(&limits(3, 1000)), &Caller::default()).await;
    for _ in 0..3 {
        within("status", running.client.status(StatusRequest::default())).await.unwrap();
    }
    let refused = within("status", running.client.status(StatusRequest::default())).await.unwrap_err();
    let refusal = Refusal::from_status("engine", &refused);
    assert_eq!(refusal.kind, Kind::Exhausted);
    assert_eq!(refusal.expected, "at most 3 requests a second on one connection (`connection_rate_max`)");
    let details = refused.get_error_details();
    let wait = details.retry_info().and_then(|info| info.retry_delay).expect("when to try again");
    assert!(wait <= Duration::from_millis(334), "{wait:?}");
    let pushback: u64 = refused.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!(u128::from(pushback), wait.as_millis());
    assert!(refusal.way_out.contains(&format!("try again in {pushback} ms")), "{refusal}");

    let mut other =
        mesh_proto::engine::engine_client::EngineClient::new(Caller::default().connect(&running.address).unwrap());
    within("status", other.status(StatusRequest::default())).await.unwrap();
    // what was said is true
    tokio::time::sleep(wait).await;
    within("status", running.client.status(StatusRequest::default())).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_asked_too_often_still_says_that_it_lives() {
    let mut running = start_secured(options(), &load(&limits(1000, 1)), &Caller::default()).await;
    within("status", running.client.status(StatusRequest::default())).await.unwrap();
    let refused = within("status", running.client.status(StatusRequest::default())).await.unwrap_err();
    let refusal = Refusal::from_status("engine", &refused);
    assert_eq!(
        (refusal.kind, refusal.expected.as_str()),
        (Kind::Exhausted, "at most 1 requests a second (`server_rate_max`)")
    );
    let ask = HealthCheckRequest { service: String::new() };
    within("health", HealthClient::new(running.link.clone()).check(ask)).await.unwrap();
}

#[tokio::test]
async fn rest_answers_429_as_xml_with_retry_after() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let scope = Scope::secured(load(&limits(1000, 2)));
    let routes = Router::new().route("/SASESP/server", get(|| async { "<ok/>" }));
    tokio::spawn(mesh_service::rest::serve(listener, routes, scope.clone()));
    for expected in ["200", "200", "429"] {
        let answer = ask(&address, "GET /SASESP/server HTTP/1.1").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{answer}");
        if expected == "429" {
            assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
            assert!(answer.contains("at most 2 requests a second"), "{answer}");
        }
    }
    scope.drain.start("test");
}
