//! Certificates and tokens that are renewed while servers and clients go on.

use mesh_proto::engine::StatusRequest;
use mesh_proto::engine::engine_client::EngineClient;
use mesh_service::security::Security;
use mesh_service::security::renew::{Looked, Renewal};
use mesh_service::{Base, Kind, Metrics, Refusal};

use crate::play::{options, start_secured, within};
use crate::security::{Files, MESH, VIEW, load};

/// A folder in which `own.*` is what the process uses; it is exchanged by copying.
fn use_of(files: &Files, whose: &str) {
    for (from, to) in [("pem", "own.pem"), ("key", "own.key")] {
        std::fs::copy(files.path(&format!("{whose}.{from}")), files.path(to)).unwrap();
    }
    std::fs::copy(files.path(&format!("{whose}-ca.pem")), files.path("own-ca.pem")).unwrap();
}

fn renewal(base: &Base, security: &Security, metrics: &Metrics) -> Renewal {
    Renewal::new(base.clone(), security.clone(), metrics)
}

#[tokio::test]
async fn new_connections_are_made_with_renewed_certificates_and_open_ones_go_on() {
    let files = Files::new();
    use_of(&files, "ours");
    let base = files.base("own", "own-ca", "own-ca");
    let (server, caller) = (load(&base), load(&base));
    let (metrics, mut running) = (Metrics::new(), start_secured(options(), &server, &caller.caller).await);
    let (mut at_server, mut at_caller) = (renewal(&base, &server, &metrics), renewal(&base, &caller, &Metrics::new()));
    within("status", running.client.status(StatusRequest::default())).await.unwrap();
    let mut stream = within("watch", running.client.watch(StatusRequest::default())).await.unwrap().into_inner();
    within("a message", stream.message()).await.unwrap();

    // another authority, another certificate: first only the server has them
    use_of(&files, "theirs");
    assert_eq!(at_server.look(), Looked::Renewed);
    assert_eq!(at_server.look(), Looked::Same);
    within("status on the connection that is open", running.client.status(StatusRequest::default())).await.unwrap();
    let stale = load(&files.base("ours", "ours-ca", "")).caller.connect(&running.address).unwrap();
    let refused = within("status", EngineClient::new(stale).status(StatusRequest::default())).await.unwrap_err();
    assert!(Refusal::from_status("engine", &refused).found.contains("invalid peer certificate"), "{refused}");

    // then the client: the same link goes on, with a connection of its own
    assert_eq!(at_caller.look(), Looked::Renewed);
    within("status", running.client.status(StatusRequest::default())).await.unwrap();
    assert!(metrics.text().contains("esp_service_renewals_total 1\n"), "{}", metrics.text());
}

#[tokio::test]
async fn a_renewed_token_replaces_the_old_one_at_once() {
    let files = Files::new();
    let mut base = Base::default();
    base.auth.tokens = files.path("tokens.toml").display().to_string();
    base.auth.token_file = files.path("mesh.token").display().to_string();
    let security = load(&base);
    let mut at_process = renewal(&base, &security, &Metrics::new());
    let running = start_secured(options(), &security, &security.caller).await;
    let status = |client: &EngineClient<_>| {
        let mut client = client.clone();
        async move { within("status", client.status(StatusRequest::default())).await.map(|_| ()) }
    };
    status(&running.client).await.unwrap();
    let old = load(&base).caller.connect(&running.address).unwrap();

    let renewed = "another-token-of-the-mesh";
    files.write("tokens.toml", &format!("[[token]]\nname = 'mesh'\nrole = 'mesh'\ntoken = '{renewed}'\n"));
    files.write("mesh.token", renewed);
    assert_eq!(at_process.look(), Looked::Renewed);
    status(&running.client).await.unwrap();
    let refused = status(&EngineClient::new(old)).await.unwrap_err();
    assert_eq!(Kind::of(&refused), Kind::Unauthenticated, "{refused}");
}

#[tokio::test]
async fn what_is_wrong_is_told_once_and_what_was_there_before_stays() {
    let files = Files::new();
    use_of(&files, "ours");
    let mut base = files.base("own", "own-ca", "");
    base.auth.tokens = files.path("tokens.toml").display().to_string();
    base.auth.token_file = files.path("mesh.token").display().to_string();
    let security = load(&base);
    let metrics = Metrics::new();
    let mut at_process = renewal(&base, &security, &metrics);
    let mut running = start_secured(options(), &security, &security.caller).await;

    // half of a renewal: the key is still that of the old certificate; and a token is too short
    std::fs::copy(files.path("theirs.pem"), files.path("own.pem")).unwrap();
    files.write("tokens.toml", "[[token]]\nname = 'mesh'\nrole = 'mesh'\ntoken = 'short'\n");
    let Looked::Wrong(problems) = at_process.look() else { panic!("it is wrong") };
    let text = problems.to_string();
    assert!(text.contains("tls.cert") && text.contains("auth.tokens"), "{text}");
    assert!(!text.contains(MESH) && !text.contains(VIEW) && !text.contains("short'"), "{text}");
    assert!(metrics.text().contains("esp_service_renewal_wrong 1\n"), "{}", metrics.text());
    assert_eq!(at_process.look(), Looked::Same, "it is told once");
    within("status", running.client.status(StatusRequest::default())).await.unwrap();

    // the other half
    use_of(&files, "theirs");
    files.write("tokens.toml", &format!("[[token]]\nname = 'mesh'\nrole = 'mesh'\ntoken = '{MESH}'\n"));
    assert_eq!(at_process.look(), Looked::Renewed);
    assert!(metrics.text().contains("esp_service_renewal_wrong 0\n"), "{}", metrics.text());
    within("status", running.client.status(StatusRequest::default())).await.unwrap();
}
