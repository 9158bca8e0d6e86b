//! What a process says of itself over gRPC, and its log that is changed while it runs.

use mesh_proto::admin::admin_client::AdminClient;
use mesh_proto::admin::{Change, GetConfigRequest, GetInfoRequest, SetLogLevelRequest};
use mesh_service::grpc::Server;
use mesh_service::security::Caller;
use mesh_service::{Base, Config, Kind, Refusal, Scope, administration, telemetry};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::play::within;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Settings {
    #[serde(flatten)]
    base: Base,
    kafka_settings: String,
}

impl Config for Settings {
    const SERVICE: &'static str = "played";

    fn base(&self) -> &Base {
        &self.base
    }
}

#[tokio::test]
async fn a_process_tells_what_it_is_and_changes_what_it_logs() {
    let config = Settings { kafka_settings: "sasl.password=abc".into(), ..Settings::default() };
    let scope = Scope::new();
    let latch = scope.ready.latch("kafka");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::new(&config.base).add(administration(&config, "played-1", &scope));
    let serving = tokio::spawn(server.serve(listener, scope.drain.clone()));
    let mut client = AdminClient::new(Caller::default().connect(&address).unwrap());

    let info = within("info", client.get_info(GetInfoRequest {})).await.unwrap().into_inner();
    assert_eq!((info.service.as_str(), info.name.as_str()), ("played", "played-1"));
    assert_eq!(info.waiting_for, ["kafka"]);
    assert!(info.clock_us > 1_700_000_000_000_000);
    drop(latch);
    let info = client.get_info(GetInfoRequest {}).await.unwrap().into_inner();
    assert_eq!(info.waiting_for, Vec::<String>::new());

    let settings = client.get_config(GetConfigRequest {}).await.unwrap().into_inner().settings;
    let of = |name: &str| settings.iter().find(|setting| setting.setting == name).unwrap();
    assert_eq!(of("kafka_settings").value, "sasl.password=***");
    assert_eq!((of("grace").value.as_str(), of("grace").default_value.as_str()), ("10s", "10s"));
    assert_eq!(of("grace").environment, "ESP_PLAYED_GRACE");

    let change = Some(Change { who: "ada".into(), why: "looking for a fault".into(), ..Change::default() });
    let set = |log: &str| SetLogLevelRequest { log: log.into(), change: change.clone() };
    let foreign = client.set_log_level(set("debug")).await.unwrap_err();
    assert_eq!(Refusal::from_status("played", &foreign).kind, Kind::Unsupported, "the log is not started here");
    let _guard = telemetry::init("esp-played", "played-1", &config.base).unwrap();
    assert!(!tracing::enabled!(tracing::Level::DEBUG));
    let answer = client.set_log_level(set("info,it=debug")).await.unwrap().into_inner();
    assert_eq!((answer.log.as_str(), answer.before.as_str()), ("info,it=debug", "info"));
    assert!(tracing::enabled!(tracing::Level::DEBUG), "this very module logs more now");
    let wrong = client.set_log_level(set("it=loud")).await.unwrap_err();
    assert_eq!(Refusal::from_status("played", &wrong).kind, Kind::Invalid, "{wrong}");
    let answer = client.set_log_level(set("warn")).await.unwrap().into_inner();
    assert_eq!(answer.before, "info,it=debug", "what was wrong has changed nothing");
    scope.drain.start("end of test");
    within("its end", serving).await.unwrap().unwrap();
}
