//! Deploying a project: check the model, check and create its topics, store the version. In this order: what engines are
//! told to run is known to be good and has its topics. A rollback goes the same way with the content of an older version.

use mesh_bus::Bus;
use mesh_model::{Checked, parse_project};
use mesh_proto::coordinator::{DeployRequest, DeployResponse, RollbackRequest, RollbackResponse};
use mesh_service::{Kind, Refusal};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::author::Author;
use crate::clock::now_us;
use crate::config::CoordinatorConfig;
use crate::history::History;
use crate::mesh::Mesh;
use crate::store::{Store, StoredEvent, StoredProject, Versions};
use crate::topics;

/// Largest project file; a value of the registry holds at most 1 MiB.
const XML_BYTES_MAX: usize = 900 << 10;

/// What deploying works with.
pub(crate) struct Deployer<'a> {
    pub(crate) config: &'a CoordinatorConfig,
    pub(crate) bus: &'a Arc<dyn Bus>,
    pub(crate) store: &'a Store,
    pub(crate) history: &'a History,
    pub(crate) mesh: &'a Mesh,
}

/// A project that was checked and has its topics.
struct Prepared {
    name: String,
    xml: String,
    url_host_port: String,
    fingerprint: u64,
    created_topics: Vec<String>,
    warnings: Vec<String>,
}

impl Deployer<'_> {
    pub(crate) async fn deploy(&self, message: DeployRequest, author: Author) -> Result<DeployResponse, Refusal> {
        if message.xml.len() > XML_BYTES_MAX {
            return Err(Refusal::invalid(format!("deploy `{}`", message.file))
                .expected(format!("a project file of at most {XML_BYTES_MAX} bytes"))
                .found(message.xml.len().to_string())
                .way_out("split the project, or move data out of it"));
        }
        let mut prepared = self.prepare(message.xml, message.file, message.name, message.url_host_port).await?;
        let group = format!("{}.{}", prepared.url_host_port, prepared.name);
        if let Err(refusal) = self.mesh.hold_back(&group).await {
            let text = format!("drained engines may lead `{}` until the election answers: {refusal}", prepared.name);
            prepared.warnings.push(text);
        }
        let version = self.store(&prepared, author, 0).await?;
        let Prepared { name, created_topics, warnings, .. } = prepared;
        Ok(DeployResponse { project: name, version, created_topics, warnings })
    }

    /// Runs an older version again, as a new one with its content.
    pub(crate) async fn rollback(&self, message: RollbackRequest, author: Author) -> Result<RollbackResponse, Refusal> {
        let RollbackRequest { project: name, version: wanted, .. } = message;
        let target = choose(&name, wanted, self.store.versions(&name).await?)?;
        let file = format!("{name} version {}", target.version);
        let prepared = self.prepare(target.xml, file, name.clone(), target.url_host_port).await?;
        let copy_of = if target.copy_of == 0 { target.version } else { target.copy_of };
        let version = self.store(&prepared, author, copy_of).await?;
        let Prepared { created_topics, warnings, .. } = prepared;
        Ok(RollbackResponse { project: name, version, copy_of, created_topics, warnings })
    }

    /// Checks a project, and checks and creates its topics.
    async fn prepare(
        &self,
        xml: String,
        file: String,
        name: String,
        url_host_port: String,
    ) -> Result<Prepared, Refusal> {
        let (checked, xml) = check(xml, file).await?;
        let name = if name.is_empty() { checked.project.name.clone() } else { name };
        let url_host_port = [url_host_port.as_str(), checked.project.url_host_port().unwrap_or_default()]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or(&self.config.url_host_port)
            .to_owned();
        let specs = topics::specs(&url_host_port, &name, &checked.project, &self.config.topics)?;
        let deadline = self.config.bus_timeout.0;
        let what = format!("check and create the topics of project `{name}`");
        let ensured =
            topics::blocking(self.bus, &what, deadline, move |bus| topics::ensure(bus, &specs, deadline)).await?;
        let mut warnings: Vec<String> =
            checked.warnings.0.iter().map(|warning| warning.to_string().trim_end().to_owned()).collect();
        warnings.extend(ensured.warnings);
        let fingerprint = checked.project.fingerprint;
        Ok(Prepared { name, xml, url_host_port, fingerprint, created_topics: ensured.created, warnings })
    }

    /// Makes it the current version; returns its number.
    async fn store(&self, prepared: &Prepared, author: Author, copy_of: u64) -> Result<u64, Refusal> {
        let Prepared { name, xml, url_host_port, fingerprint, .. } = prepared;
        let at_us = now_us();
        let stored = StoredProject {
            name: name.clone(),
            version: 0,
            xml: xml.clone(),
            url_host_port: url_host_port.clone(),
            deployed_us: at_us,
            model_fingerprint: *fingerprint,
            stopped: false,
            who: author.who.clone(),
            why: author.why.clone(),
            copy_of,
        };
        let (version, new) = self.store.deploy(stored).await?;
        if new {
            let content = if copy_of == 0 { String::new() } else { format!(" with the content of version {copy_of}") };
            let detail =
                format!("version {version}{content}, topics `{url_host_port}.{name}.*`, model {fingerprint:016x}");
            let what = if copy_of == 0 { "deploy" } else { "rollback" };
            self.history.note(StoredEvent::new(at_us, name, what, detail).by(author));
        }
        Ok(version)
    }
}

/// The version that a rollback means.
fn choose(name: &str, wanted: u64, versions: Versions) -> Result<StoredProject, Refusal> {
    let what = format!("roll project `{name}` back");
    let Versions { current, mut kept } = versions;
    if kept.is_empty() {
        return Err(Refusal::not_found(what)
            .expected("a project with versions")
            .found("no such project")
            .way_out("`espctl project list` names them"));
    }
    let found = match &current {
        _ if wanted != 0 => kept.iter().rposition(|version| version.version == wanted),
        Some(current) => kept.iter().rposition(|older| older.version < current.version && !older.same_content(current)),
        None => Some(kept.len() - 1),
    };
    if let Some(found) = found {
        return Ok(kept.swap_remove(found));
    }
    let numbers: Vec<String> = kept.iter().map(|version| version.version.to_string()).collect();
    Err(if wanted == 0 {
        Refusal::new(Kind::Conflict, what)
            .expected("an older version with other content")
            .found(format!("versions {}, with the same content", numbers.join(", ")))
            .way_out(format!("name a version: `espctl project versions {name}` lists them"))
    } else {
        Refusal::not_found(what)
            .expected(format!("one of the versions that are kept: {}", numbers.join(", ")))
            .found(wanted.to_string())
            .way_out("deploy its file again; the coordinator's setting `versions_max` says how many are kept")
    })
}

/// Checks the model on a thread for long work; gives the file back.
async fn check(xml: String, file: String) -> Result<(Checked, String), Refusal> {
    let file = if file.is_empty() { "project.xml".to_owned() } else { file };
    let name = file.clone();
    let work = move || (parse_project(&xml, &name, &BTreeMap::new()), xml);
    let (checked, xml) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Refusal::new(Kind::Fault, format!("check `{file}`")).found("the check panicked"))?;
    let checked = checked.map_err(|diagnostics| {
        let count = diagnostics.0.len();
        Refusal::invalid(format!("check `{file}`: {count} problem{}", if count == 1 { "" } else { "s" }))
            .found(format!("\n{diagnostics}"))
            .way_out("nothing was deployed")
    })?;
    Ok((checked, xml))
}
