//! Certificates, tokens and limits, over real sockets: what is right is served, what is wrong is refused and told.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use mesh_proto::engine::{SkipRequest, SnapshotRequest, StatusRequest};
use mesh_service::config::Problems;
use mesh_service::security::{Caller, Security};
use mesh_service::{Base, Kind, Refusal, Scope};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::play::{Running, options, start_secured, within};

pub const VIEW: &str = "the-token-of-one-who-looks";
const OPERATE: &str = "the-token-of-one-who-operates";
pub const MESH: &str = "the-token-of-the-mesh-itself";

/// A folder with two authorities, a certificate of each for this host, and tokens.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Files {
        let files = Files(tempfile::tempdir().unwrap());
        for name in ["ours", "theirs"] {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            files.write(&format!("{name}-ca.pem"), &authority.pem());
            files.write(&format!("{name}.pem"), &certificate.pem());
            files.write(&format!("{name}.key"), &key.serialize_pem());
        }
        let entry =
            |name: &str, token: &str| format!("[[token]]\nname = '{name}'\nrole = '{name}'\ntoken = '{token}'\n");
        files.write("tokens.toml", &[entry("view", VIEW), entry("operate", OPERATE), entry("mesh", MESH)].concat());
        files.write("mesh.token", &format!("{MESH}\n"));
        files
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Settings with these files; an empty name stays empty.
    pub fn base(&self, cert: &str, ca: &str, client_ca: &str) -> Base {
        let path = |name: String| if name.len() < 5 { String::new() } else { self.path(&name).display().to_string() };
        let mut base = Base::default();
        base.tls.cert = path(format!("{cert}.pem"));
        base.tls.key = path(format!("{cert}.key"));
        base.tls.ca = path(format!("{ca}.pem"));
        base.tls.client_ca = path(format!("{client_ca}.pem"));
        base
    }
}

pub fn load(base: &Base) -> Security {
    let mut problems = Problems::default();
    let security = Security::load(base, &mut problems);
    assert!(problems.is_empty(), "{problems}");
    security
}

/// Asks for the status; the text of a refusal.
async fn status(server: &Security, caller: &Caller) -> Result<(), Refusal> {
    let mut running = start_secured(options(), server, caller).await;
    let answer = within("an answer", running.client.status(StatusRequest::default())).await;
    answer.map(|_| ()).map_err(|status| Refusal::from_status("engine", &status))
}

#[tokio::test]
async fn those_who_trust_the_authority_are_served_over_tls_and_others_not_at_all() {
    let files = Files::new();
    let server = load(&files.base("ours", "", ""));
    status(&server, &load(&files.base("", "ours-ca", "")).caller).await.unwrap();

    let refusal = status(&server, &load(&files.base("", "theirs-ca", "")).caller).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Unavailable, "{refusal}");
    assert!(refusal.found.contains("invalid peer certificate"), "{refusal}");

    let refusal = status(&server, &Caller::default()).await.unwrap_err();
    assert!(matches!(refusal.kind, Kind::Unavailable | Kind::Fault), "plain text is not served: {refusal}");
    status(&Security::default(), &load(&files.base("", "ours-ca", "")).caller).await.unwrap_err();
}

#[tokio::test]
async fn with_mtls_callers_show_a_certificate_of_the_right_authority() {
    let files = Files::new();
    let server = load(&files.base("ours", "", "ours-ca"));
    status(&server, &load(&files.base("ours", "ours-ca", "")).caller).await.unwrap();
    for wrong in [files.base("", "ours-ca", ""), files.base("theirs", "ours-ca", "")] {
        status(&server, &load(&wrong).caller).await.unwrap_err();
    }
}

/// A server that asks for tokens, called with one.
async fn with_token(files: &Files, token: Option<&str>) -> Running {
    let mut base = Base::default();
    base.auth.tokens = files.path("tokens.toml").display().to_string();
    let server = load(&base);
    let mut caller = Base::default();
    if let Some(token) = token {
        files.write("caller.token", token);
        caller.auth.token_file = files.path("caller.token").display().to_string();
    }
    let mut problems = Problems::default();
    let caller = Security::load(&caller, &mut problems).caller;
    start_secured(options(), &server, &caller).await
}

#[tokio::test]
async fn a_token_may_do_what_its_role_says() {
    let files = Files::new();
    let cases = [
        (None, [Kind::Unauthenticated, Kind::Unauthenticated]),
        (Some("somebody-elses-token"), [Kind::Unauthenticated, Kind::Unauthenticated]),
        (Some(VIEW), [Kind::Unsupported, Kind::Denied]),
        (Some(OPERATE), [Kind::Unsupported, Kind::Unsupported]),
        (Some(MESH), [Kind::Unsupported, Kind::Unsupported]),
    ];
    for (token, [look, save]) in cases {
        let mut running = with_token(&files, token).await;
        let looked = within("status", running.client.status(StatusRequest::default())).await;
        match looked {
            Ok(_) => assert_eq!(look, Kind::Unsupported, "{token:?} may look"),
            Err(status) => assert_eq!(Kind::of(&status), look, "{token:?}: {status}"),
        }
        let saved = within("snapshot", running.client.snapshot(SnapshotRequest::default())).await.unwrap_err();
        assert_eq!(Kind::of(&saved), save, "{token:?}: {saved}");
        let skipped = within("skip", running.client.skip(SkipRequest::default())).await.unwrap_err();
        assert_eq!(Kind::of(&skipped), save, "{token:?}: {skipped}");
        if save == Kind::Denied {
            let text = Refusal::from_status("engine", &saved).to_string();
            assert_eq!(
                text,
                "call of /mesh.engine.v1.Engine/Snapshot: expected a token with the role `operate`, found `view`, whose \
                 role is `view`; send `authorization: Bearer TOKEN`; tokens and roles are in the file that `auth.tokens` names"
            );
        }
        // whether it lives is told to everybody
        let ask = HealthCheckRequest { service: String::new() };
        within("health", HealthClient::new(running.link.clone()).check(ask)).await.unwrap();
    }
}

/// A REST server with one resource, and what it answers to a request as it is on the wire.
async fn rest(security: Security) -> (String, Scope) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let scope = Scope::secured(security);
    let routes = Router::new().route("/SASESP/server", get(|| async { "<ok/>" }));
    tokio::spawn(mesh_service::rest::serve(listener, routes, scope.clone()));
    (address, scope)
}

pub async fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("an answer", stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn rest_asks_for_the_same_tokens_in_the_ways_that_clients_know() {
    let files = Files::new();
    let mut base = Base::default();
    base.auth.tokens = files.path("tokens.toml").display().to_string();
    let (address, scope) = rest(load(&base)).await;
    let get = "GET /SASESP/server HTTP/1.1".to_owned();

    let refused = ask(&address, &get).await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    assert!(refused.contains("www-authenticate: Bearer"), "{refused}");
    assert!(refused.contains("expected: a token with the role `view`"), "as XML: {refused}");
    // any name and the token as password
    let basic = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("me:{MESH}"))
    };
    for right in [
        format!("{get}\r\nAuthorization: Bearer {MESH}"),
        format!("{get}\r\nAuthorization: Basic {basic}"),
        format!("GET /SASESP/server?config=true&access_token={MESH} HTTP/1.1"),
    ] {
        let answer = ask(&address, &right).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("<ok/>"), "{answer}");
    }
    let changing = ask(&address, &format!("PUT /SASESP/server?access_token={VIEW} HTTP/1.1")).await;
    assert!(changing.starts_with("HTTP/1.1 403"), "who looks changes nothing: {changing}");
    scope.drain.start("test");
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_handshake_holds_up_nobody() {
    let files = Files::new();
    let server = load(&files.base("ours", "", ""));
    let running = start_secured(options(), &server, &load(&files.base("", "ours-ca", "")).caller).await;
    let _silent = TcpStream::connect(&running.address).await.unwrap();
    let mut client = running.client.clone();
    tokio::time::timeout(Duration::from_secs(3), client.status(StatusRequest::default())).await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_one_ends() {
    let base = Base { connections_max: 1, ..Base::default() };
    let (address, _scope) = rest(load(&base)).await;
    let first = TcpStream::connect(&address).await.unwrap();
    // so that it has been accepted before the second one
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = tokio::spawn({
        let address = address.clone();
        async move { ask(&address, "GET /SASESP/server HTTP/1.1").await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished(), "it is not served beside the first");
    drop(first);
    assert!(within("the second", second).await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn the_admin_server_asks_for_the_same_when_it_shall() {
    let files = Files::new();
    let mut base = files.base("ours", "ours-ca", "ours-ca");
    base.auth.tokens = files.path("tokens.toml").display().to_string();
    for admin_secured in [false, true] {
        base.admin_secured = admin_secured;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        base.admin_listen = listener.local_addr().unwrap().to_string();
        let (scope, stop) = (Scope::secured(load(&base)), mesh_service::Drain::new());
        tokio::spawn(mesh_service::admin::serve(listener, scope.clone(), stop.clone()));
        let settings = base.clone();
        let probed = tokio::task::spawn_blocking(move || mesh_service::probe::probe(&settings));
        assert_eq!(within("a probe", probed).await.unwrap().unwrap(), "ready");
        if !admin_secured {
            let answer = ask(&base.admin_listen, "GET /metrics HTTP/1.1").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        // without a certificate, and with one of another authority
        for (cert, key) in [("", ""), ("theirs.pem", "theirs.key")] {
            let mut stranger = base.clone();
            let path = |name: &str| files.path(name).display().to_string();
            stranger.tls.cert = path(cert);
            stranger.tls.key = path(key);
            stranger.admin_secured = admin_secured && !cert.is_empty();
            let probed = tokio::task::spawn_blocking(move || mesh_service::probe::probe(&stranger));
            let answer = within("a probe", probed).await.unwrap();
            assert_eq!(answer.is_ok(), !admin_secured, "{answer:?}");
        }
        stop.start("test");
    }
}

#[tokio::test]
async fn metrics_need_a_token_and_readiness_none() {
    let files = Files::new();
    let mut base = Base { admin_secured: true, ..Base::default() };
    base.auth.tokens = files.path("tokens.toml").display().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stop = mesh_service::Drain::new();
    tokio::spawn(mesh_service::admin::serve(listener, Scope::secured(load(&base)), stop.clone()));
    for (path, token, expected) in [
        ("/metrics", None, "401"),
        ("/metrics", Some("somebody-elses-token"), "401"),
        ("/metrics", Some(VIEW), "200"),
        ("/healthz", None, "200"),
        ("/readyz", None, "200"),
    ] {
        let token = token.map(|token| format!("\r\nAuthorization: Bearer {token}")).unwrap_or_default();
        let answer = ask(&address, &format!("GET {path} HTTP/1.1{token}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{path}: {answer}");
    }
    stop.start("test");
}

#[test]
fn every_wrong_file_is_told_under_its_setting() {
    let files = Files::new();
    files.write("empty.pem", "");
    files.write("empty.key", "nothing of a key");
    files.write("blank.token", "one two\n");
    let problems = |change: &dyn Fn(&mut Base)| {
        let mut base = files.base("ours", "ours-ca", "ours-ca");
        change(&mut base);
        let mut problems = Problems::default();
        Security::load(&base, &mut problems);
        problems.to_string()
    };
    let path = |name: &str| files.path(name).display().to_string();
    let missing = path("missing.pem");
    type Case<'a> = (&'a dyn Fn(&mut Base), &'a [&'a str]);
    let cases: [Case<'_>; 9] = [
        (&|base| base.tls.cert = missing.clone(), &["tls.cert", "No such file"]),
        (&|base| base.tls.key = String::new(), &["tls.key", "since `tls.cert` is set"]),
        (&|base| base.tls.key = path("empty.key"), &["tls.key", "a private key in PEM form"]),
        (&|base| base.tls.key = path("theirs.key"), &["tls.cert", "`tls.key` belongs to"]),
        (&|base| base.tls.cert = path("empty.pem"), &["tls.cert", "certificates in PEM form"]),
        (&|base| base.tls.ca = path("empty.pem"), &["tls.ca", "certificates in PEM form"]),
        (&|base| base.tls.client_ca = missing.clone(), &["tls.client_ca", "No such file"]),
        (
            &|base| {
                base.tls.cert = String::new();
                base.tls.key = String::new();
            },
            &["tls.client_ca", "as long as `tls.cert` is"],
        ),
        (&|base| base.auth.token_file = path("blank.token"), &["auth.token_file", "one token"]),
    ];
    for (change, expected) in cases {
        let told = problems(change);
        for part in expected {
            assert!(told.contains(part), "expected {part:?} in {told:?}");
        }
    }
    assert_eq!(problems(&|_| ()), Problems::default().to_string());
}
