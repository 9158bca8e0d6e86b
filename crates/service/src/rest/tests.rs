//! Requests as clients make them.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use mesh_proto::election::Role;
use mesh_proto::engine::{ProjectStatus, StatusResponse};
use std::pin::Pin;
use std::sync::Arc;
use tower::ServiceExt;

use super::*;
use crate::status::Refusal;

struct OneEngine;

impl ServerProvider for OneEngine {
    fn server(&self, engine: Option<String>) -> Pin<Box<dyn Future<Output = Result<ServerInfo, Refusal>> + Send + '_>> {
        Box::pin(async move {
            if let Some(other) = engine.filter(|name| name != "e1") {
                return Err(Refusal::not_found(format!("engine `{other}`"))
                    .expected("one of e1")
                    .way_out("name it <so>"));
            }
            let active =
                ProjectStatus { project: "weather".into(), role: Role::Active.into(), term: 3, ..Default::default() };
            let status = StatusResponse {
                engine: "e1".into(),
                url_host_port: "my.host_31416".into(),
                projects: vec![active],
                ..Default::default()
            };
            Ok(engine_info(&status, "127.0.0.1:61002".into()))
        })
    }
}

async fn ask(method: &str, uri: &str) -> (StatusCode, String, String) {
    let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    let response = router(Arc::new(OneEngine)).oneshot(request).await.unwrap();
    let status = response.status();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

const SERVER: &str = "<esp-server version=\"6.2\" engine=\"e1\" analytics-license=\"true\" primary-server=\"true\" \
                      pubsub=\"31416\" http=\"127.0.0.1:61002\"";

#[tokio::test]
async fn the_server_is_told_under_every_prefix() {
    for prefix in PREFIXES {
        for path in ["server", "server/", "server?config=false", "server/?x=1", "server?engine=e1"] {
            let (status, kind, body) = ask("GET", &format!("{prefix}/{path}")).await;
            assert_eq!((status, body), (StatusCode::OK, format!("{SERVER}/>\n")), "{prefix}/{path}");
            assert_eq!(kind, "application/xml; charset=utf-8");
        }
        for path in ["", "/"] {
            assert_eq!(ask("HEAD", &format!("{prefix}{path}")).await.0, StatusCode::OK, "{prefix}{path}");
        }
        assert_eq!(ask("HEAD", &format!("{prefix}/server")).await.2, "");
    }
}

#[tokio::test]
async fn with_config_the_properties_are_children() {
    let (_, _, body) = ask("GET", "/SASESP/server?config=true").await;
    assert!(body.starts_with(&format!("{SERVER}>")) && body.ends_with("</esp-server>\n"), "{body}");
    assert!(body.contains("<property name=\"project.weather.role\">active</property>"), "{body}");
    assert!(body.contains("<property name=\"project.weather.term\">3</property>"), "{body}");
}

#[tokio::test]
async fn errors_are_xml_with_a_detail() {
    for (method, uri, expected) in [
        ("GET", "/SASESP/servr", StatusCode::NOT_FOUND),
        ("GET", "/elsewhere", StatusCode::NOT_FOUND),
        ("DELETE", "/eventStreamProcessing/v1/server", StatusCode::METHOD_NOT_ALLOWED),
        ("GET", "/SASESP/server?engine=e2", StatusCode::NOT_FOUND),
    ] {
        let (status, kind, body) = ask(method, uri).await;
        assert_eq!(status, expected, "{method} {uri}");
        assert_eq!(kind, "application/xml; charset=utf-8");
        assert!(body.starts_with("<response><message>"), "{body}");
        assert!(body.contains("<details><detail>") && !body.contains("<detail/>"), "{body}");
    }
    let (_, _, body) = ask("GET", "/SASESP/server?engine=e2").await;
    assert!(body.contains("way out: name it &lt;so&gt;"), "{body}");
}
