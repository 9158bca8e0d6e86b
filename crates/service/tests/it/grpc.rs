//! Health, reflection, deadlines, limits, drain.

use mesh_proto::engine::StatusRequest;
use mesh_service::grpc::{Peers, ServerOptions, request};
use mesh_service::security::Caller;
use mesh_service::{Kind, Refusal};
use std::time::Duration;
use tokio_stream::StreamExt;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::play::{options, start, within};

fn hang() -> StatusRequest {
    StatusRequest { project: "hang".into() }
}

#[tokio::test]
async fn reflection_names_every_service() {
    let running = start(options()).await;
    let mut client = ServerReflectionClient::new(running.link.clone());
    let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let requests = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("mesh.engine.v1.Engine".into())),
    ]);
    let mut answers = within("reflection", client.server_reflection_info(requests)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.next().await.unwrap().unwrap().message_response
    else {
        panic!("no list of services");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["mesh.engine.v1.Engine", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let second = answers.next().await.unwrap().unwrap().message_response;
    assert!(matches!(second, Some(MessageResponse::FileDescriptorResponse(_))), "{second:?}");
}

#[tokio::test]
async fn health_flips_when_the_drain_starts_and_streams_are_cut() {
    let mut running = start(ServerOptions { drain_max: Duration::from_millis(100), ..options() }).await;
    let mut health = HealthClient::new(running.link.clone());
    let ask = HealthCheckRequest { service: "mesh.engine.v1.Engine".into() };
    let mut watch = within("health", health.watch(ask)).await.unwrap().into_inner();
    assert_eq!(within("serving", watch.message()).await.unwrap().unwrap().status(), ServingStatus::Serving);
    // this stream does not heed the drain
    let mut stream = running.client.watch(StatusRequest::default()).await.unwrap().into_inner();
    assert!(within("first message", stream.message()).await.unwrap().is_some());

    running.drain.start("test");
    assert_eq!(within("not serving", watch.message()).await.unwrap().unwrap().status(), ServingStatus::NotServing);
    within("the server's end", running.served).await.unwrap().unwrap();
    assert!(within("the cut", stream.message()).await.is_err());
}

#[tokio::test]
async fn dropping_the_server_breaks_its_connections() {
    let mut running = start(options()).await;
    let mut stream = running.client.watch(StatusRequest::default()).await.unwrap().into_inner();
    assert!(within("first message", stream.message()).await.unwrap().is_some());
    running.served.abort();
    assert!(within("the break", stream.message()).await.is_err());
    let status = within("an answer", running.client.status(StatusRequest::default())).await.unwrap_err();
    assert_eq!(Kind::of(&status), Kind::Unavailable, "{status}");
}

#[tokio::test]
async fn a_request_in_work_is_finished_when_the_drain_starts() {
    let running = start(options()).await;
    let mut client = running.client.clone();
    let call = tokio::spawn(async move { client.status(request(hang(), Duration::from_millis(300))).await });
    within("the call", running.played.called.notified()).await;
    running.drain.start("test");
    let status = within("an answer", call).await.unwrap().unwrap_err();
    assert_eq!(Kind::of(&status), Kind::Deadline, "answered by the server, not cut: {status}");
    within("the server's end", running.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_callers_deadline_holds_and_the_servers_when_there_is_none() {
    let mut running = start(ServerOptions { request_timeout: Duration::from_millis(100), ..options() }).await;
    // the caller's time runs while its connection opens
    within("a first answer", running.client.status(StatusRequest::default())).await.unwrap();
    for message in [request(hang(), Duration::from_millis(400)), tonic::Request::new(hang())] {
        let status = within("an answer", running.client.status(message)).await.unwrap_err();
        let refusal = Refusal::from_status("engine", &status);
        assert_eq!((refusal.kind, refusal.what.as_str()), (Kind::Deadline, "call of /mesh.engine.v1.Engine/Status"));
    }
}

#[tokio::test]
async fn too_many_requests_are_refused_not_queued() {
    let running = start(ServerOptions { requests_max: 2, ..options() }).await;
    for _ in 0..2 {
        let mut client = running.client.clone();
        tokio::spawn(async move { client.status(hang()).await });
        within("the call", running.played.called.notified()).await;
    }
    let status = within("an answer", running.client.clone().status(StatusRequest::default())).await.unwrap_err();
    assert_eq!(Kind::of(&status), Kind::Exhausted, "{status}");
}

#[tokio::test]
async fn peers_go_round_until_one_answers() {
    let running = start(options()).await;
    let mut peers = Peers::new(["127.0.0.1:1".to_owned(), running.address.clone()], &Caller::default());
    let mut client = mesh_proto::engine::engine_client::EngineClient::new(peers.link().unwrap());
    let status = within("a refusal", client.status(StatusRequest::default())).await.unwrap_err();
    let refusal = Refusal::from_status("engine at 127.0.0.1:1", &status);
    assert_eq!(refusal.kind, Kind::Unavailable);
    assert!(refusal.found.contains("refused"), "the cause is told: {refusal}");
    peers.failed();
    assert_eq!(peers.address(), running.address);
    let mut client = mesh_proto::engine::engine_client::EngineClient::new(peers.link().unwrap());
    within("an answer", client.status(StatusRequest::default())).await.unwrap();
}

#[tokio::test]
async fn an_address_without_port_is_refused() {
    for wrong in ["", "host", "host:", "http://host:1", "host:99999"] {
        let refusal = Caller::default().connect(wrong).unwrap_err();
        assert_eq!(refusal.to_string(), format!("connect: expected an address `host:port`, found `{wrong}`"));
    }
}
