//! The admin server over HTTP.

use mesh_service::{Drain, Scope, admin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::play::within;

async fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    within("an answer", stream.read_to_string(&mut text)).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn readiness_names_who_is_waited_for_and_goes_at_drain() {
    let scope = Scope::new();
    let stop = Drain::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = tokio::spawn(admin::serve(listener, scope.clone(), stop.clone()));

    let kafka = scope.ready.latch("kafka");
    let project = scope.ready.latch("project weather");
    assert_eq!(get(&address, "/readyz").await, (503, "waiting for: kafka, project weather\n".into()));
    assert_eq!(get(&address, "/healthz").await, (200, "ok\n".into()));
    drop((kafka, project));
    assert_eq!(get(&address, "/readyz").await, (200, "ready\n".into()));

    scope.metrics.counter("esp_test_commits", "Commits", &[]).inc();
    let (status, body) = get(&address, "/metrics").await;
    assert_eq!(status, 200);
    assert!(body.contains("esp_test_commits_total 1\n") && body.ends_with("# EOF\n"), "{body}");

    scope.drain.start("SIGTERM");
    assert_eq!(get(&address, "/readyz").await, (503, "draining: SIGTERM\n".into()));
    stop.start("end");
    within("its end", served).await.unwrap().unwrap();
}
