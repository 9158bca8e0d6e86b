//! Groups of adapters over files that are rotated: the source by renaming, the output by size; members killed and frozen.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_event::topic::TopicKind;
use mesh_tests::{Mesh, MeshOptions, Process, wait_for};

use super::LIMIT;

const LINES: usize = 6000;
/// Lines of a file of the source.
const ROTATED_AFTER: usize = 400;
/// Lines that are published before the first rotation.
const FIRST: usize = 10;
const FILE_BYTES: u64 = 4096;

const PROJECT: &str = r#"<project name="rotated" pubsub="auto"><contqueries><contquery name="cq"><windows>
  <window-source name="src" insert-only="true" index="pi_EMPTY"><schema-string>id*:int64,x:double</schema-string></window-source>
  <window-filter name="out"><expression>x &gt;= 0</expression></window-filter>
</windows><edges><edge source="src" target="out"/></edges></contquery></contqueries></project>"#;

/// Writes the source as a program does that logrotate rotates.
fn write_rotated(path: &Path, lines: Range<usize>) {
    let mut file = File::options().append(true).open(path).unwrap();
    for id in lines {
        writeln!(file, "{id},{}.5", id % 17).unwrap();
        if id % ROTATED_AFTER == ROTATED_AFTER - 1 {
            fs::rename(path, format!("{}.{id:05}", path.display())).unwrap();
            file = File::create(path).unwrap();
        }
        if id % 20 == 0 {
            std::thread::sleep(Duration::from_millis(20)); // 1,000 a second
        }
    }
}

/// The files of the output, by name.
fn output(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|item| item.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("out-"));
    files.sort();
    files
}

/// The member of a group that works.
fn leader(mesh: &Mesh, group: &str) -> Option<String> {
    let status = mesh.client.mesh_status(&mesh.coordinator_address).ok()?;
    let found = status.groups.into_iter().find(|status| status.group == group)?;
    (!found.leader.is_empty()).then_some(found.leader)
}

/// Kills or freezes whoever works, waits for another one, and has the old one back.
fn strike(mesh: &Mesh, group: &str, members: &mut [Process], freeze: bool) {
    let worker = wait_for("a member to work", LIMIT, || leader(mesh, group)).unwrap();
    let struck = members.iter_mut().find(|member| member.name() == worker).unwrap();
    match freeze {
        true => struck.signal("STOP").unwrap(),
        false => struck.kill().unwrap(),
    }
    wait_for("another member to work", LIMIT, || leader(mesh, group).filter(|name| *name != worker)).unwrap();
    match freeze {
        true => struck.signal("CONT").unwrap(),
        false => struck.restart().unwrap(),
    }
}

#[test]
fn rotated_files_are_carried_from_group_to_group_exactly_once_while_members_are_killed_and_frozen() {
    let mesh = Mesh::start(MeshOptions {
        name: "rotated",
        xml: PROJECT.to_owned(),
        engines: 2,
        elections: 2,
        trace_ratio: 0.0,
        engine_settings: Vec::new(),
    })
    .unwrap();
    let (source, folder) = (mesh.file("source.csv"), mesh.file("output"));
    fs::create_dir(&folder).unwrap();
    File::create(&source).unwrap();
    let config = mesh.file("adapters.cfg");
    let (name, zookeeper) = (&mesh.host_port, &mesh.env.zookeeper);
    fs::write(
        &config,
        format!(
            "kafka {{\n metatopic = \"ESPAdapterMetapub\"\n}}\nsas {{\n hotfailover = true\n failovergroup = \"{name}\"\n \
             zookeeperhostport = \"{zookeeper}\"\n}}\n"
        ),
    )
    .unwrap();
    let line = format!(
        "type=pub,url={},fsname={},transportconfigfile={},growinginputfile=true,addcsvopcode=true,addcsvflags=normal,blocksize=8",
        mesh.url(TopicKind::Input),
        source.display(),
        config.display()
    );
    let mut publishers = ["publisher-1", "publisher-2"].map(|name| mesh.group_publisher(name, &line).unwrap());
    let line = format!(
        "type=sub,url={}?snapshot=false,fsname={},transportconfigfile={},maxfilesize={FILE_BYTES},periodicity=2",
        mesh.url(TopicKind::Output),
        folder.join("out.csv").display(),
        config.display()
    );
    let mut subscribers = ["subscriber-1", "subscriber-2"].map(|name| mesh.group_subscriber(name, &line).unwrap());
    let written =
        || output(&folder).iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect::<String>();
    // what was rotated away before anything was published is not looked for
    write_rotated(&source, 0..FIRST);
    wait_for("the first events", LIMIT, || (!written().is_empty()).then_some(())).unwrap();
    let writer = std::thread::spawn(move || write_rotated(&source, FIRST..LINES));
    let [publishing, subscribing] = ["adapters", "subscribers"].map(|kind| format!("{kind}.{name}"));
    for freeze in [false, true, false] {
        strike(&mesh, &publishing, &mut publishers, freeze);
        strike(&mesh, &subscribing, &mut subscribers, freeze);
    }
    writer.join().unwrap();
    let expected = (0..LINES).fold(String::new(), |mut text, id| {
        writeln!(text, "I,N, {id},{}.500000", id % 17).unwrap();
        text
    });
    let all =
        wait_for("everything to be written", LIMIT, || Some(written()).filter(|text| text.len() >= expected.len()));
    let all = all.unwrap_or_else(|error| panic!("{error:#}: {} of {} bytes", written().len(), expected.len()));
    assert!(all == expected, "{}", first_difference(&all, &expected));
    let files = output(&folder);
    assert!(files.len() as u64 > expected.len() as u64 / FILE_BYTES, "{files:?}");
    assert!(files.iter().all(|file| fs::metadata(file).unwrap().len() <= FILE_BYTES));
}

fn first_difference(found: &str, expected: &str) -> String {
    let at = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected).unwrap_or(0);
    format!("line {at} is {:?}, expected {:?}", found.lines().nth(at), expected.lines().nth(at))
}
