//! Deploying a project: check the model, check and create its topics, store the version. In this order: what engines are
//! told to run is known to be good and has its topics.

use mesh_bus::Bus;
use mesh_model::{Checked, parse_project};
use mesh_proto::coordinator::{DeployRequest, DeployResponse};
use mesh_service::Refusal;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::now_us;
use crate::config::CoordinatorConfig;
use crate::history::History;
use crate::store::{Store, StoredEvent, StoredProject};
use crate::topics;

/// Largest project file; a value of the registry holds at most 1 MiB.
const XML_BYTES_MAX: usize = 900 << 10;

pub(crate) async fn deploy(
    message: DeployRequest,
    config: &CoordinatorConfig,
    bus: &Arc<dyn Bus>,
    store: &Store,
    history: &History,
) -> Result<DeployResponse, Refusal> {
    if message.xml.len() > XML_BYTES_MAX {
        return Err(Refusal::invalid(format!("deploy `{}`", message.file))
            .expected(format!("a project file of at most {XML_BYTES_MAX} bytes"))
            .found(message.xml.len().to_string())
            .way_out("split the project, or move data out of it"));
    }
    let (checked, xml) = check(message.xml, message.file.clone()).await?;
    let name = if message.name.is_empty() { checked.project.name.clone() } else { message.name };
    let url_host_port = [message.url_host_port.as_str(), checked.project.url_host_port().unwrap_or_default()]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or(&config.url_host_port)
        .to_owned();
    let specs = topics::specs(&url_host_port, &name, &checked.project, &config.topics)?;
    let deadline = config.bus_timeout.0;
    let what = format!("check and create the topics of project `{name}`");
    let ensured = topics::blocking(bus, &what, deadline, move |bus| topics::ensure(bus, &specs, deadline)).await?;

    let at_us = now_us();
    let stored = StoredProject {
        name: name.clone(),
        version: 0,
        xml,
        url_host_port: url_host_port.clone(),
        deployed_us: at_us,
        model_fingerprint: checked.project.fingerprint,
        stopped: false,
    };
    let (version, new) = store.deploy(stored).await?;
    if new {
        let detail =
            format!("version {version}, topics `{url_host_port}.{name}.*`, model {:016x}", checked.project.fingerprint);
        history.note(StoredEvent { at_us, project: name.clone(), what: "deploy".to_owned(), detail, term: 0 });
    }
    let mut warnings: Vec<String> =
        checked.warnings.0.iter().map(|warning| warning.to_string().trim_end().to_owned()).collect();
    warnings.extend(ensured.warnings);
    Ok(DeployResponse { project: name, version, created_topics: ensured.created, warnings })
}

/// Checks the model on a thread for long work; gives the file back.
async fn check(xml: String, file: String) -> Result<(Checked, String), Refusal> {
    let file = if file.is_empty() { "project.xml".to_owned() } else { file };
    let name = file.clone();
    let work = move || (parse_project(&xml, &name, &BTreeMap::new()), xml);
    let (checked, xml) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Refusal::new(mesh_service::Kind::Fault, format!("check `{file}`")).found("the check panicked"))?;
    let checked = checked.map_err(|diagnostics| {
        let count = diagnostics.0.len();
        Refusal::invalid(format!("check `{file}`: {count} problem{}", if count == 1 { "" } else { "s" }))
            .found(format!("\n{diagnostics}"))
            .way_out("nothing was deployed")
    })?;
    Ok((checked, xml))
}
