//! What every part of the mesh says of itself over gRPC (`mesh.admin.v1.Admin`): what it is, its settings, its log.

use mesh_proto::admin::admin_server::{Admin, AdminServer};
use mesh_proto::admin::{
    GetConfigRequest, GetConfigResponse, GetInfoRequest, GetInfoResponse, SetLogLevelRequest, SetLogLevelResponse,
    Setting,
};
use serde_json::Value;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tonic::{Request, Response, Status};

use crate::config::{Config, env_name, known_settings};
use crate::ready::Ready;
use crate::scope::Scope;
use crate::status::{Kind, Refusal};
use crate::telemetry;

/// Stands for a secret.
const HIDDEN: &str = "***";

/// A setting or option whose name has one of these is a secret.
const SECRET_WORDS: [&str; 5] = ["password", "secret", "token", "credential", "passphrase"];

/// Longest list of levels.
const LOG_BYTES_MAX: usize = 4096;

/// Answers for one service instance.
#[derive(Debug)]
pub struct Administration {
    service: &'static str,
    name: String,
    settings: Vec<Setting>,
    ready: Ready,
    began: Instant,
}

/// The server of a service with these settings, to be added to its others.
pub fn administration<C: Config>(config: &C, name: &str, scope: &Scope) -> AdminServer<Administration> {
    let defaults = known_settings(&C::default());
    let in_force = known_settings(config);
    let setting = |(path, value): (&String, &Value)| Setting {
        setting: path.clone(),
        value: shown(path, value),
        default_value: defaults.get(path).map_or_else(String::new, |value| shown(path, value)),
        environment: env_name(C::SERVICE, path),
    };
    AdminServer::new(Administration {
        service: C::SERVICE,
        name: if name.is_empty() { C::SERVICE.to_owned() } else { name.to_owned() },
        settings: in_force.iter().map(setting).collect(),
        ready: scope.ready.clone(),
        began: Instant::now(),
    })
}

/// A value as text that everybody may read.
fn shown(path: &str, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let texts = values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            texts.collect::<Vec<_>>().join(",")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let name = path.rsplit('.').next().unwrap_or(path);
    if text.is_empty() || is_secret(name) && !name.ends_with("_file") {
        return if text.is_empty() { text } else { HIDDEN.to_owned() };
    }
    without_secrets(&text)
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Hides the values of secret options (`sasl.password=x;...`) and the passwords of URLs (`scheme://user:x@host`).
fn without_secrets(text: &str) -> String {
    let option = |option: &str| match option.split_once('=') {
        Some((key, value)) if !value.is_empty() && is_secret(key) => format!("{key}={HIDDEN}"),
        _ => match (option.split_once("://"), option.rsplit_once('@')) {
            (Some((scheme, _)), Some((user, host))) if user.contains("://") => {
                let user = user.rsplit("://").next().unwrap_or_default();
                let name = user.split_once(':').map_or(user, |(name, _)| name);
                format!("{scheme}://{name}:{HIDDEN}@{host}")
            }
            _ => option.to_owned(),
        },
    };
    text.split_inclusive([';', ','])
        .map(|part| {
            let bare = part.trim_end_matches([';', ',']);
            format!("{}{}", option(bare), &part[bare.len()..])
        })
        .collect()
}

#[tonic::async_trait]
impl Admin for Administration {
    async fn get_info(&self, _: Request<GetInfoRequest>) -> Result<Response<GetInfoResponse>, Status> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Ok(Response::new(GetInfoResponse {
            service: self.service.to_owned(),
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            clock_us: i64::try_from(clock.as_micros()).unwrap_or(i64::MAX),
            uptime_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            waiting_for: self.ready.waiting_for(),
        }))
    }

    async fn get_config(&self, _: Request<GetConfigRequest>) -> Result<Response<GetConfigResponse>, Status> {
        Ok(Response::new(GetConfigResponse { settings: self.settings.clone() }))
    }

    async fn set_log_level(
        &self,
        request: Request<SetLogLevelRequest>,
    ) -> Result<Response<SetLogLevelResponse>, Status> {
        let SetLogLevelRequest { log, change } = request.into_inner();
        let what = format!("set what `{}` logs", self.name);
        if log.is_empty() || log.len() > LOG_BYTES_MAX {
            return Err(Refusal::invalid(what)
                .expected(format!("levels as in `info,mesh_engine=debug`, at most {LOG_BYTES_MAX} bytes"))
                .found(format!("{} bytes", log.len()))
                .into());
        }
        let change = change.unwrap_or_default();
        match telemetry::set_log(&log) {
            Ok(Some(before)) => {
                tracing::warn!(log, before, who = change.who, why = change.why, "what is logged was changed");
                Ok(Response::new(SetLogLevelResponse { log, before }))
            }
            Ok(None) => Err(Refusal::new(Kind::Unsupported, what)
                .found("a process whose log is not ours, such as `espctl demo`")
                .into()),
            Err(reason) => Err(Refusal::invalid(what).found(reason).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        let text = |path: &str, text: &str| shown(path, &Value::String(text.to_owned()));
        assert_eq!(text("auth.token", "abc"), HIDDEN);
        assert_eq!(text("auth.token", ""), "", "nothing is no secret");
        assert_eq!(text("auth.token_file", "/run/token"), "/run/token", "where it is may be known");
        assert_eq!(
            text("kafka_settings", "security.protocol=SASL_SSL;sasl.password=abc;ssl.key.password=d"),
            "security.protocol=SASL_SSL;sasl.password=***;ssl.key.password=***"
        );
        assert_eq!(text("snapshot_url", "s3://key:abc@host/bucket"), "s3://key:***@host/bucket");
        assert_eq!(text("snapshot_url", "file:///var/snapshots"), "file:///var/snapshots");
        assert_eq!(shown("elections", &serde_json::json!(["a:1", "b:2"])), "a:1,b:2");
        assert_eq!(shown("history_max", &serde_json::json!(1000)), "1000");
    }
}
