//! What the user may set of the Kafka client; read without the client, so that a configuration is checked anywhere.

use std::collections::BTreeMap;

/// Settings that carry the mesh's guarantees: the user must not set them.
const OURS: [&str; 14] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "metadata.broker.list",
    "transaction.timeout.ms",
    "transactional.id",
];

/// How many connections' worth of settings one line may hold.
const EXTRA_MAX: usize = 200;

/// Reads `k=v;k=v` (the `kafkaglobalconfig` of a dfESP URL); the error names the part that is wrong.
pub fn parse_settings(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut settings = BTreeMap::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((key, value)) = part.split_once('=') else {
            return Err(format!("Kafka client setting `{part}`: expected `key=value`, several separated by `;`"));
        };
        let (key, value) = (key.trim(), value.trim());
        if OURS.contains(&key) {
            return Err(format!(
                "Kafka client setting `{key}` is set by the mesh, its guarantees rest on it: remove it"
            ));
        }
        settings.insert(key.to_owned(), value.to_owned());
        if settings.len() > EXTRA_MAX {
            return Err(format!("more than {EXTRA_MAX} Kafka client settings"));
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_the_mesh_keeps_its_own() {
        let parsed = parse_settings(" linger.ms=5 ; debug=broker;; ").unwrap();
        assert_eq!(parsed.get("linger.ms").map(String::as_str), Some("5"));
        assert_eq!(parsed.len(), 2);
        assert!(parse_settings("isolation.level=read_uncommitted").unwrap_err().contains("isolation.level"));
        assert!(parse_settings("nonsense").unwrap_err().contains("nonsense"));
    }
}
