//! Certificates and tokens.

use super::services::{ENGINE, entries};
use super::{Folder, Section};
use mesh_engine::EngineConfig;
use rcgen::{CertificateParams, KeyPair};

fn certificate(folder: &Folder, name: &str) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["engine-1".to_owned()]).unwrap();
    folder.write(&format!("{name}.pem"), params.self_signed(&key).unwrap().pem());
    folder.write(&format!("{name}.key"), key.serialize_pem());
}

pub fn certificates() -> Section {
    let folder = Folder::new();
    certificate(&folder, "engine");
    certificate(&folder, "other");
    folder.write("empty.pem", "");
    folder.write("text.key", "not a key");
    let table = [
        ("--tls-cert|/etc/esp-mesh/engine.pem", "Set `tls.key` too."),
        ("--tls-key|/etc/esp-mesh/engine.key", "Set `tls.cert` too."),
        (
            "--tls-cert|/etc/esp-mesh/none.pem|--tls-key|/etc/esp-mesh/engine.key",
            "Mount the file, or correct its path.",
        ),
        (
            "--tls-cert|/etc/esp-mesh/empty.pem|--tls-key|/etc/esp-mesh/engine.key",
            "Name a file with `BEGIN CERTIFICATE` in it.",
        ),
        (
            "--tls-cert|/etc/esp-mesh/engine.pem|--tls-key|/etc/esp-mesh/text.key",
            "Name a file with `BEGIN PRIVATE KEY` in it, without a passphrase.",
        ),
        (
            "--tls-cert|/etc/esp-mesh/engine.pem|--tls-key|/etc/esp-mesh/other.key",
            "Take the key that the certificate was made with.",
        ),
        (
            "--tls-client-ca|/etc/esp-mesh/other.pem",
            "Set `tls.cert` and `tls.key`: without TLS nobody shows a certificate.",
        ),
        ("--tls-ca|/etc/esp-mesh/empty.pem", "Name the certificate of the authority, not an empty file."),
        (
            "--admin-secured|true|--tls-cert|/etc/esp-mesh/engine.pem|--tls-key|/etc/esp-mesh/engine.key",
            "Set `tls.ca` to the authority that signed the mesh's certificates.",
        ),
    ];
    Section { title: "Certificates", entries: entries::<EngineConfig>(&folder, &ENGINE, &table) }
}

pub fn tokens() -> Section {
    let folder = Folder::new();
    let entry = |role: &str, rest: &str| format!("[[token]]\nname = \"ops\"\nrole = \"{role}\"\n{rest}\n");
    let good = "token = \"0123456789abcdef\"";
    folder.write("none.toml", "# no tokens yet\n");
    folder.write("role.toml", entry("admin", good));
    folder.write("short.toml", entry("view", "token = \"secret\""));
    folder.write("hash.toml", entry("view", "sha256 = \"9f86d081\""));
    folder.write("neither.toml", entry("view", ""));
    folder.write("twice.toml", [entry("view", good), entry("operate", "token = \"fedcba9876543210\"")].concat());
    folder.write("field.toml", entry("view", "tokn = \"0123456789abcdef\""));
    folder.write("words.token", "one two\n");
    let table = [
        ("--auth-tokens|/etc/esp-mesh/missing.toml", "Mount the file, or correct its path."),
        (
            "--auth-tokens|/etc/esp-mesh/none.toml",
            "Without tokens leave `auth.tokens` empty; then everybody who reaches a port may use it.",
        ),
        (
            "--auth-tokens|/etc/esp-mesh/role.toml",
            "Roles are view, operate, deploy, mesh; each has the rights of those before it.",
        ),
        ("--auth-tokens|/etc/esp-mesh/short.toml", "Make one with `openssl rand -hex 32`."),
        ("--auth-tokens|/etc/esp-mesh/hash.toml", "`printf %s \"$TOKEN\" | sha256sum` gives the hash."),
        ("--auth-tokens|/etc/esp-mesh/neither.toml", "Give the token's hash, or the token."),
        ("--auth-tokens|/etc/esp-mesh/twice.toml", "Names stand in the log; give each token its own."),
        (
            "--auth-tokens|/etc/esp-mesh/field.toml",
            "Correct the field in the line that is named; its content is not shown, it may be a token.",
        ),
        ("--auth-token-file|/etc/esp-mesh/words.token", "One token, nothing else."),
    ];
    Section { title: "Tokens", entries: entries::<EngineConfig>(&folder, &ENGINE, &table) }
}
