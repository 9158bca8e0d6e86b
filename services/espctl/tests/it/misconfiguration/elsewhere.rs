//! Topics that are there already, and espctl itself.

use super::{Entry, Folder, Section};
use crate::mesh::Host;
use crate::support::{ORDERS, espctl};
use mesh_bus::{Bus, MemoryBus, TopicSpec};
use mesh_event::TopicName;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

/// What `espctl` says to these arguments; with `coordinator` to a mesh that is there.
fn told(folder: &Folder, arguments: &[&str], coordinator: &str) -> String {
    let real: Vec<String> = arguments.iter().map(|argument| folder.real(argument)).collect();
    let real: Vec<&str> = real.iter().map(String::as_str).collect();
    let mut command = espctl(&real);
    if !coordinator.is_empty() {
        command.env("ESP_COORDINATOR", coordinator);
    }
    command.env("ESP_CONTEXTS", folder.path().join("espctl.toml")).stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    folder.shown(&said)
}

pub fn topics() -> Section {
    let parse =
        |name: &str, way_out| Entry::new(name, format!("error: {}", TopicName::parse(name).unwrap_err()), way_out);
    let long = format!("esp_31415.p.cq.{}.I", "w".repeat(240));
    let mut entries = vec![
        parse("esp_31415.weather.cq.report", "Name the direction: `.I` of what goes in, `.O` of what comes out."),
        parse("weather.cq.report.O", "Begin with host and port, as in `esp_31415`."),
        parse("esp_31415.weather.cq.re port.O", "Rename the window."),
        parse(&long, "Shorten the names."),
    ];
    let folder = Folder::new();
    folder.write("orders.xml", ORDERS);
    folder.write("espctl.toml", "");
    let bus = MemoryBus::new();
    let spec = TopicSpec {
        name: "esp_31415.orders.C".to_owned(),
        replication_factor: 1,
        settings: [("retention.ms".to_owned(), "604800000".to_owned())].into(),
    };
    bus.create_topic(&spec, Duration::from_secs(5)).unwrap();
    let host = Host::on(Arc::new(bus));
    let arguments = ["project", "deploy", "/etc/esp-mesh/orders.xml"];
    let way_out = "The project runs; repair the topic before the first broker is lost or the retention has passed.";
    let said = told(&folder, &arguments, host.address());
    entries.push(Entry::new("espctl project deploy orders.xml, where the commit log was made by hand", said, way_out));
    let one = |arguments: &[&str], way_out| {
        Entry::new(format!("espctl {}", arguments.join(" ")), told(&folder, arguments, host.address()), way_out)
    };
    entries.push(one(&["project", "rollback", "wether"], "`espctl project list` shows the names."));
    entries.push(one(&["promote", "orders", "engine-9"], "Name the election instances in the coordinator's `elections`; `espctl status orders` then shows who could lead."));
    Section { title: "Topics and what is deployed", entries }
}

pub fn itself() -> Section {
    let folder = Folder::new();
    folder.write("espctl.toml", "current = \"prod\"\n[contexts.prod]\ncoordinators = [\"mesh-1:50100\"]\n");
    let wrong = Folder::new();
    wrong.write("espctl.toml", "[contexts.prod]\ncoordinator = [\"mesh-1:50100\"]\n");
    let one = |folder: &Folder, arguments: &[&str], way_out| {
        Entry::new(format!("espctl {}", arguments.join(" ")), told(folder, arguments, ""), way_out)
    };
    let entries = vec![
        one(&folder, &["statsu"], "Take the command that is proposed."),
        one(&folder, &["status", "--coordinator", "mesh-1"], "Add the port, 50100 unless it was changed."),
        one(
            &folder,
            &["status", "--context", "prd"],
            "Take the context that is proposed; `espctl contexts` lists them.",
        ),
        one(&wrong, &["contexts"], "Correct the key in the file: `coordinators`."),
        one(
            &folder,
            &["status", "--coordinator", "127.0.0.1:1", "--token-file", "/etc/esp-mesh/none.token"],
            "Mount the file, or correct its path.",
        ),
        one(&folder, &["project", "deploy", "/etc/esp-mesh/none.xml"], "Name the file that is there."),
        one(&folder, &["project", "check", "/etc/esp-mesh/espctl.toml"], "Name the project's XML file."),
    ];
    Section { title: "espctl", entries }
}
