//! `espctl config` and `log-level`: one process of the mesh, by its name or its `host:port`.

use mesh_proto::admin::admin_client::AdminClient;
use mesh_proto::admin::{GetConfigRequest, SetLogLevelRequest};
use mesh_proto::coordinator::MeshStatusRequest;
use mesh_service::Refusal;
use mesh_service::grpc::{MESSAGE_BYTES_MAX, request};
use mesh_service::security::Link;
use serde::Serialize;

use crate::fail::Fail;
use crate::mesh::{ASK, Client, Mesh};
use crate::out::{self, Column};

/// A setting as `config --json` prints it.
#[derive(Debug, Serialize)]
struct Setting {
    setting: String,
    value: String,
    default: String,
    environment: String,
}

/// The process that is meant, and how it is told of.
async fn reach(mesh: &mut Mesh, named: &str) -> Result<(AdminClient<Link>, String), Fail> {
    let address = if named.contains(':') { named.to_owned() } else { address_of(mesh, named).await? };
    let client = AdminClient::new(mesh.caller().connect(&address)?).max_decoding_message_size(MESSAGE_BYTES_MAX);
    Ok((client, if address == named { named.to_owned() } else { format!("{named} at {address}") }))
}

async fn address_of(mesh: &mut Mesh, named: &str) -> Result<String, Fail> {
    let call = |mut client: Client, request| async move { client.status(request).await };
    let status = mesh.call("look for the members", ASK, MeshStatusRequest::default(), call).await?;
    let members: Vec<_> = status.members.into_iter().filter_map(|member| member.announced).collect();
    if let Some(member) = members.iter().find(|member| member.name == named) {
        return Ok(member.address.clone());
    }
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    Err(Fail::input(format!(
        "`{named}`: expected a member of the mesh ({}) or a host:port; espctl status names them",
        if names.is_empty() { "none has announced itself".to_owned() } else { names.join(", ") }
    )))
}

/// Prints the settings in force.
pub async fn config(mesh: &mut Mesh, named: &str, changed: bool, json: bool) -> Result<(), Fail> {
    let (mut client, target) = reach(mesh, named).await?;
    let answer = client.get_config(request(GetConfigRequest {}, ASK)).await;
    let answer = answer.map_err(|status| Refusal::from_status(&target, &status))?.into_inner();
    let settings: Vec<Setting> = answer
        .settings
        .into_iter()
        .filter(|setting| !changed || setting.value != setting.default_value)
        .map(|setting| Setting {
            setting: setting.setting,
            value: setting.value,
            default: setting.default_value,
            environment: setting.environment,
        })
        .collect();
    if json {
        return Ok(out::json(&settings)?);
    }
    let columns =
        [Column::Text("SETTING"), Column::Text("VALUE"), Column::Text("DEFAULT"), Column::Text("ENVIRONMENT")];
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let rows = settings.into_iter().map(|setting| {
        let default = if setting.value == setting.default { "same".to_owned() } else { or_dash(setting.default) };
        vec![setting.setting, or_dash(setting.value), default, setting.environment]
    });
    Ok(out::line(&out::table(&columns, rows))?)
}

/// Changes what a process logs.
pub async fn log_level(mesh: &mut Mesh, named: &str, log: String, reason: String) -> Result<(), Fail> {
    let (mut client, target) = reach(mesh, named).await?;
    let message = SetLogLevelRequest { log, change: mesh.change(reason) };
    let answer = client.set_log_level(request(message, ASK)).await;
    let answer = answer.map_err(|status| Refusal::from_status(&target, &status))?.into_inner();
    Ok(out::line(&format!("{target} logs {} until it ends (it was {})", answer.log, answer.before))?)
}
