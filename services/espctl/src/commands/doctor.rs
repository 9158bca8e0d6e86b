//! `espctl doctor`: what is wrong with the mesh, and what to do.

use mesh_proto::admin::GetInfoRequest;
use mesh_proto::admin::admin_client::AdminClient;
use mesh_proto::coordinator::{DiagnoseRequest, Finding, Severity};
use mesh_service::Refusal;
use mesh_service::grpc::request;
use mesh_service::security::Caller;
use serde::Serialize;
use std::time::Duration;

use crate::fail::Fail;
use crate::mesh::{CHANGE, Client, Mesh};
use crate::out;

/// A coordinator answers within this time.
const WITHIN: Duration = Duration::from_secs(2);

/// A look as `--json` prints it.
#[derive(Debug, Serialize)]
struct Look {
    severity: &'static str,
    part: String,
    check: String,
    found: String,
    way_out: String,
}

impl Look {
    fn new(finding: Finding) -> Look {
        let severity = match finding.severity() {
            Severity::Problem => "problem",
            Severity::Warning => "warning",
            Severity::Note => "note",
            Severity::Ok | Severity::Unspecified => "ok",
        };
        let Finding { part, check, found, way_out, .. } = finding;
        Look { severity, part, check, found, way_out }
    }
}

/// Looks, prints, and fails when there is a problem.
pub async fn run(mesh: &mut Mesh, json: bool) -> Result<(), Fail> {
    let mut looks = Vec::new();
    for address in mesh.addresses() {
        looks.extend(unreachable(mesh.caller(), &address).await);
    }
    let call = |mut client: Client, request| async move { client.diagnose(request).await };
    let answer = mesh.call("diagnose the mesh", CHANGE, DiagnoseRequest {}, call).await?;
    looks.extend(answer.findings.into_iter().map(Look::new));
    if json {
        out::json(&looks)?;
    } else {
        out::line(&render(&looks))?;
    }
    if looks.iter().any(|look| look.severity == "problem") { Err(Fail::Said) } else { Ok(()) }
}

/// A coordinator that is named here and does not answer from here.
async fn unreachable(caller: &Caller, address: &str) -> Option<Look> {
    let answer = async {
        let mut client = AdminClient::new(caller.connect(address)?);
        let told = client.get_info(request(GetInfoRequest {}, WITHIN)).await;
        told.map(|_| ()).map_err(|status| Refusal::from_status(&format!("coordinator at {address}"), &status))
    };
    let refusal = answer.await.err()?;
    Some(Look {
        severity: "warning",
        part: format!("coordinator {address}"),
        check: "reachable".to_owned(),
        found: refusal.to_string(),
        way_out: "start it, or leave it out of --coordinator and ESP_COORDINATOR".to_owned(),
    })
}

fn render(looks: &[Look]) -> String {
    let mut lines = Vec::new();
    for look in looks {
        let style = match look.severity {
            "problem" => out::ERROR,
            "warning" | "note" => out::WARNING,
            _ => out::GOOD,
        };
        let severity = out::styled(style, look.severity);
        lines.push(format!("{severity}: {}: {}: {}", look.part, look.check, look.found));
        if !look.way_out.is_empty() {
            lines.push(format!("    {}", look.way_out));
        }
    }
    let count = |severity| looks.iter().filter(|look| look.severity == severity).count();
    let (problems, warnings) = (count("problem"), count("warning"));
    lines.push(format!(
        "{}: {}, {}",
        out::count(looks.len(), "look"),
        out::count(problems, "problem"),
        out::count(warnings, "warning")
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn people_read_what_is_wrong_and_what_to_do() {
        let finding = |severity: Severity, found: &str, way_out: &str| Finding {
            severity: severity.into(),
            part: "etcd".to_owned(),
            check: "reachable".to_owned(),
            found: found.to_owned(),
            way_out: way_out.to_owned(),
        };
        let looks = [
            finding(Severity::Problem, "no answer in 2s", "see that etcd is up"),
            finding(Severity::Ok, "answers in 1.0 ms", ""),
        ];
        let text = anstream::adapter::strip_str(&render(&looks.map(Look::new))).to_string();
        expect![[r#"
            problem: etcd: reachable: no answer in 2s
                see that etcd is up
            ok: etcd: reachable: answers in 1.0 ms
            2 looks: 1 problem, 0 warnings"#]]
        .assert_eq(&text);
    }
}
