//! Runs the examples of docs/API.md as they stand there, with grpcurl, against a mesh in this process.

use mesh_proto::coordinator::MeshStatusRequest;
use mesh_proto::election::Role;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::Local;
use super::engine::EngineProcess;
use crate::mesh::{ASK, Client};

const LIMIT: Duration = Duration::from_secs(30);

/// Where the examples say that the coordinator listens.
const ADDRESS: &str = "127.0.0.1:50100";

const WEATHER: &str = include_str!("../../../../examples/weather/project.xml");

/// Tells where grpcurl is; `cargo xtask test` sets it.
const GRPCURL: &str = "ESP_MESH_GRPCURL";

fn grpcurl() -> Option<PathBuf> {
    let named = std::env::var_os(GRPCURL).map(PathBuf::from);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = || std::env::split_paths(&folders).map(|folder| folder.join("grpcurl")).find(|path| path.is_file());
    named.or_else(found)
}

/// The commands that stand in the document, in order.
fn examples() -> Vec<String> {
    let text = include_str!("../../../../docs/API.md");
    text.lines().filter(|line| line.starts_with("grpcurl ")).map(str::to_owned).collect()
}

/// Types a command into a shell whose `grpcurl` is this one.
fn typed(command: &str, program: &Path, coordinator: &str) -> Output {
    let command = command.replace(ADDRESS, coordinator);
    let function = format!("grpcurl() {{ '{}' \"$@\"; }}; {command}", program.display());
    Command::new("sh").arg("-c").arg(function).output().expect("a shell")
}

/// Two engines with snapshots, one of which leads `weather` while the other follows.
async fn mesh(snapshots: &Path) -> (Local, Vec<EngineProcess>) {
    let local = Local::start(false).await.expect("a mesh");
    let url = format!("file://{}", snapshots.display());
    let engines = ["engine-1", "engine-2"]
        .map(|name| local.engine_with(name, |config| config.snapshot_url.clone_from(&url)).expect("an engine"));
    local.deploy(WEATHER, "project.xml").await.expect("deployed");
    let began = Instant::now();
    loop {
        let call = |mut client: Client, request| async move { client.status(request).await };
        let status = local.mesh().call("status", ASK, MeshStatusRequest::default(), call).await.expect("a status");
        let projects = status.members.iter().filter_map(|member| member.engine.as_ref()?.projects.first());
        let mut roles: Vec<Role> = projects.map(mesh_proto::engine::ProjectStatus::role).collect();
        roles.sort_unstable();
        if roles == [Role::Standby, Role::Active] {
            return (local, engines.into());
        }
        assert!(began.elapsed() < LIMIT, "one leads and one follows: {roles:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_api_document_does_what_it_says() {
    let Some(program) = grpcurl() else {
        eprintln!("not run: no grpcurl on PATH and {GRPCURL} is not set; `cargo xtask test` installs it");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (local, engines) = mesh(folder.path()).await;
    let coordinator = local.coordinator.clone();
    let commands = examples();
    assert!(commands.len() > 20, "{commands:?}");
    let running = tokio::task::spawn_blocking(move || {
        for command in commands {
            let began = Instant::now();
            let mut done = typed(&command, &program, &coordinator);
            // who has just handed over is not yet a standby that can be asked
            while String::from_utf8_lossy(&done.stderr).contains("Code: Unavailable") && began.elapsed() < LIMIT {
                std::thread::sleep(Duration::from_millis(100));
                done = typed(&command, &program, &coordinator);
            }
            let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            let call = command.rsplit('/').next().unwrap_or_default();
            let good = match call {
                // a stream that is ended by its limit of time
                "WatchStatus" | "WatchProjects" => out.contains('{') && err.contains("DeadlineExceeded"),
                "Skip" => err.contains("FailedPrecondition") && err.contains("parked"),
                _ => done.status.success(),
            };
            assert!(good, "{command}\nafter {:?}: {}\n{out}\n{err}", began.elapsed(), done.status);
            let part = match call {
                "Deploy" => "\"version\": \"1\"",
                "ListVersions" => "\"why\": \"first version\"",
                "Rollback" => "\"copyOf\": \"1\"",
                "Promote" => "\"term\": \"2\"",
                "Snapshot" => "\"storedBytes\"",
                "History" => "\"who\": \"ada\"",
                "PauseFailover" => "\"reason\": \"work on the network\"",
                "ListTopics" => "weather_31415.weather.C",
                "CreateTopic" => "\"created\": true",
                _ => "",
            };
            assert!(out.contains(part), "{command}: {part} in\n{out}");
        }
    });
    running.await.expect("every example works");
    for engine in engines {
        engine.stop().await.expect("a polite end");
    }
    local.stop();
}
