//! The page at `/`: engines, roles, terms, plain HTML that reloads itself.

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use mesh_proto::coordinator::MeshStatusResponse;
use mesh_service::rest::{escape, role_name};
use std::fmt::Write;

use crate::mesh::Mesh;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"1\">\
<title>esp-mesh</title><style>body{font:15px/1.5 system-ui,sans-serif;margin:2em;max-width:60em}table{border-collapse:collapse}\
td,th{text-align:left;padding:.2em 1em .2em 0;border-bottom:1px solid #ccc}.active{font-weight:bold}</style></head><body><h1>esp-mesh</h1>\n";

/// The route.
pub(crate) fn routes(mesh: Mesh) -> Router {
    Router::new().route("/", get(page)).with_state(mesh)
}

async fn page(State(mesh): State<Mesh>) -> Html<String> {
    let mut html = HEAD.to_owned();
    match mesh.status() {
        Ok(status) => write_status(&mut html, &status),
        Err(refusal) => {
            let _ = writeln!(html, "<p>{}</p>", escape(&refusal.to_string()));
        }
    }
    html.push_str("</body></html>\n");
    Html(html)
}

fn write_status(html: &mut String, status: &MeshStatusResponse) {
    html.push_str("<table><tr><th>engine</th><th>project</th><th>role</th><th>term</th><th>commit</th><th>lag</th><th>in</th><th>out</th></tr>\n");
    for member in &status.members {
        let announced = member.announced.clone().unwrap_or_default();
        let name = escape(&announced.name);
        match &member.engine {
            Some(engine) => {
                for project in &engine.projects {
                    let role = role_name(project.role());
                    let _ = writeln!(
                        html,
                        "<tr class=\"{role}\"><td>{name}</td><td>{}</td><td>{role}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                        escape(&project.project),
                        project.term,
                        project.commit_number,
                        project.lag_commits,
                        project.events_in,
                        project.events_out,
                    );
                }
            }
            None if announced.kind == "engine" => {
                let _ = writeln!(html, "<tr><td>{name}</td><td colspan=\"7\">does not answer</td></tr>");
            }
            None => {}
        }
    }
    html.push_str("</table>\n");
    for group in &status.groups {
        let _ = writeln!(
            html,
            "<p>{}: {} leads in term {} ({})</p>",
            escape(&group.group),
            escape(&group.leader),
            group.term,
            escape(&group.reason)
        );
    }
    for missing in &status.unavailable {
        let _ = writeln!(html, "<p>not reached: {}: {}</p>", escape(&missing.part), escape(&missing.reason));
    }
}
