//! What is broken, and the wait for the output to go on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::docker::Compose;
use crate::shell::{say, seconds};

/// The engines, by the names that docker-compose.yml gives them.
const ENGINES: [&str; 3] = ["engine-1", "engine-2", "engine-3"];
/// Where an engine serves REST in its container.
const REST_PORT: &str = "61000";
/// How long an engine may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_millis(300);
/// How long another engine may take to lead, on a machine that is busy; what it took is told.
const LEAD_LIMIT: Duration = Duration::from_secs(30);
/// How long the output may take to go on.
const FLOW_LIMIT: Duration = Duration::from_secs(90);
/// So many lines more mean that it goes on.
const FLOW_LINES: usize = 200;
/// How long what was killed may take to be healthy again.
const BACK_LIMIT: Duration = Duration::from_secs(180);
/// How long the frozen engine stays frozen: longer than any timeout of the mesh.
const PAUSE: Duration = Duration::from_secs(6);
/// How often is asked.
const EVERY: Duration = Duration::from_millis(20);

/// The mesh as those see it who use it: the REST of the engines and the subscriber's file.
pub struct Mesh<'a> {
    compose: &'a Compose,
    rest: Vec<(&'static str, SocketAddr)>,
}

impl<'a> Mesh<'a> {
    /// Finds out where the engines serve.
    pub fn of(compose: &'a Compose) -> Result<Self> {
        let rest = ENGINES.into_iter().map(|engine| {
            let address = compose.output(&["port", engine, REST_PORT])?;
            Ok((engine, address.trim().parse().with_context(|| format!("the REST port of {engine}: {address}"))?))
        });
        Ok(Mesh { compose, rest: rest.collect::<Result<_>>()? })
    }

    /// The engine that says of itself that it leads, once one does that is not `but`.
    pub fn active(&self, but: Option<&str>) -> Result<&'static str> {
        let begun = Instant::now();
        loop {
            for &(engine, address) in &self.rest {
                if Some(engine) != but && leads(address).unwrap_or(false) {
                    return Ok(engine);
                }
            }
            ensure!(begun.elapsed() < LEAD_LIMIT, "waited {LEAD_LIMIT:?} for an engine to lead that is not {but:?}");
            std::thread::sleep(EVERY);
        }
    }

    /// What the subscriber has written so far.
    pub fn report(&self) -> Result<String> {
        self.compose.output(&["exec", "-T", "subscriber", "cat", "/data/report.csv"])
    }

    fn lines(&self) -> Result<usize> {
        let text = self.compose.output(&["exec", "-T", "subscriber", "sh", "-c", "cat /data/report.csv | wc -l"])?;
        text.trim().parse().with_context(|| format!("the number of lines, found {text:?}"))
    }

    /// Waits until the subscriber's file has so many lines.
    pub fn wait_lines(&self, wanted: usize, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let lines = self.lines()?;
            if lines >= wanted {
                return Ok(());
            }
            ensure!(begun.elapsed() < limit, "waited {limit:?} for {wanted} lines of output, found {lines}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until the output has gone on for a while.
    pub fn wait_flow(&self, what: &str) -> Result<()> {
        let begun = Instant::now();
        let before = self.lines().unwrap_or(0);
        while self.lines().unwrap_or(0) < before + FLOW_LINES {
            ensure!(begun.elapsed() < FLOW_LIMIT, "waited {FLOW_LIMIT:?} for {what}: {FLOW_LINES} lines more");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn docker(&self, verb: &str, service: &str) -> Result<()> {
        super::docker(&[verb, &self.compose.container(service)]).map(|_| ())
    }

    /// Kills a service, waits for the output to go on without it, starts it again, waits until it is healthy.
    fn kill_and_start(&self, service: &str) -> Result<()> {
        let begun = Instant::now();
        self.docker("kill", service)?;
        self.wait_flow(&format!("the output to go on without {service}"))?;
        say(format_args!(
            "docker kill {service}: the output went on ({FLOW_LINES} lines {} later)",
            seconds(begun.elapsed())
        ));
        self.start(service)
    }

    fn start(&self, service: &str) -> Result<()> {
        self.docker("start", service)?;
        self.compose.wait_service(service, BACK_LIMIT)?;
        say(format_args!("docker start {service}: healthy again"));
        Ok(())
    }

    /// Kills the engine that leads.
    fn kill_active(&self) -> Result<()> {
        let active = self.active(None)?;
        let begun = Instant::now();
        self.docker("kill", active)?;
        let next = self.active(Some(active))?;
        say(format_args!("docker kill {active}, which led: {next} leads {} later", seconds(begun.elapsed())));
        self.wait_flow("the output of the new leader")?;
        self.start(active)
    }

    /// Freezes the engine that leads; when it wakes, it must find out that it leads no more.
    fn pause_active(&self) -> Result<()> {
        let active = self.active(None)?;
        let begun = Instant::now();
        self.docker("pause", active)?;
        let next = self.active(Some(active))?;
        say(format_args!("docker pause {active}, which led: {next} leads {} later", seconds(begun.elapsed())));
        std::thread::sleep(PAUSE.saturating_sub(begun.elapsed()));
        self.docker("unpause", active)?;
        self.wait_flow("the output after the frozen engine has woken")?;
        let (_, address) = self.rest.iter().find(|(engine, _)| *engine == active).context("one of the engines")?;
        let woken = Instant::now();
        while leads(*address).unwrap_or(true) {
            ensure!(
                woken.elapsed() < LEAD_LIMIT,
                "{active} still says that it leads, {LEAD_LIMIT:?} after it has woken"
            );
            std::thread::sleep(EVERY);
        }
        say(format_args!("docker unpause {active}: it follows"));
        self.compose.wait_service(active, BACK_LIMIT)
    }

    /// The publisher of the group that publishes: the one that was granted a term last.
    fn publishing(&self) -> Result<&'static str> {
        let mut last: Option<(String, &'static str)> = None;
        for publisher in ["publisher-1", "publisher-2"] {
            let log = self.compose.output(&["logs", "--no-log-prefix", "--timestamps", publisher])?;
            let granted = log.lines().rfind(|line| line.contains("taking over")).map(str::to_owned);
            last = granted.map(|line| (line, publisher)).into_iter().chain(last).max();
        }
        match last {
            Some((_, publisher)) => Ok(publisher),
            None => bail!("no publisher has been granted a term"),
        }
    }
}

/// Whether an engine says that it leads.
fn leads(address: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(b"GET /SASESP/server HTTP/1.0\r\nHost: engine\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.contains("primary-server=\"true\""))
}

/// Everything that is broken, one after the other; returns how many faults there were.
pub fn all(mesh: &Mesh<'_>) -> Result<u32> {
    let publisher = mesh.publishing()?;
    let faults: [&dyn Fn() -> Result<()>; 8] = [
        &|| mesh.kill_active(),
        &|| mesh.kill_and_start("kafka-2"),
        &|| mesh.kill_and_start("election-1"),
        &|| mesh.pause_active(),
        &|| mesh.kill_and_start(publisher),
        &|| mesh.kill_and_start("coordinator-1"),
        &|| kill_subscriber(mesh),
        &|| mesh.kill_active(),
    ];
    for fault in faults {
        fault()?;
    }
    Ok(faults.len() as u32)
}

/// The subscriber is alone: the output waits for it, and goes on where its file ends.
fn kill_subscriber(mesh: &Mesh<'_>) -> Result<()> {
    mesh.docker("kill", "subscriber")?;
    mesh.docker("start", "subscriber")?;
    mesh.compose.wait_service("subscriber", BACK_LIMIT)?;
    mesh.wait_flow("the output after the subscriber has come back")?;
    say("docker kill subscriber, docker start subscriber: its file goes on");
    Ok(())
}
