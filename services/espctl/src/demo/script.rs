//! What happens in the demo: engines are killed and come back, leadership is handed over, and each gap is measured.

use mesh_adapter::Target;
use mesh_model::{Project, parse_project};
use mesh_proto::adapter::StatusRequest;
use mesh_proto::adapter::adapter_client::AdapterClient;
use mesh_proto::coordinator::PromoteRequest;
use mesh_service::grpc::request;
use mesh_service::security::Caller;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

use super::outputs::Outputs;
use super::screen::Screen;
use super::watch::follow;
use super::{BLOCK_EVENTS, DATE_FORMAT, ENGINES, PROJECT, PROJECT_FILE};
use crate::fail::Fail;
use crate::local::services::Adapter;
use crate::local::{Death, EngineProcess, Local, ProcessBus, topics};
use crate::mesh::{CHANGE, Client};
use crate::out;
use crate::status::View;

/// How long the mesh may take until one engine leads and the others follow.
const HEALTHY: Duration = Duration::from_secs(15);
/// How long an output of a new term may take.
const NEXT_OUTPUT: Duration = Duration::from_secs(10);
/// How long a killed engine stays away.
const AWAY: Duration = Duration::from_secs(1);
/// An engine that is to die at a commit dies anyway when none comes for this long.
const TRAP: Duration = Duration::from_millis(500);
/// How often counters are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Deadline of one look.
const LOOK_DEADLINE: Duration = Duration::from_secs(1);
/// Where engines die, one after the other.
const DEATHS: [Death; 3] = [Death::BeforeCommit, Death::Anywhere, Death::AfterCommit];

/// How long no output came, for each change of leader.
#[derive(Debug, Default)]
pub struct Gaps {
    /// After a kill.
    pub takeovers: Vec<Duration>,
    /// On purpose.
    pub switchovers: Vec<Duration>,
}

/// The demo as it runs.
pub struct Script<'a> {
    /// The mesh.
    pub local: &'a Local,
    /// The project.
    pub project: Arc<Project>,
    /// First part of its topics.
    pub url_host_port: String,
    /// Its input topic.
    pub input_topic: String,
    screen: &'a Screen,
    outputs: Outputs,
    random: Random,
    total: u64,
    engines: Vec<EngineProcess>,
    view: watch::Receiver<View>,
    published: Arc<AtomicU64>,
    publisher: Option<Adapter>,
    subscriber: Option<Adapter>,
    input_url: String,
    output_url: String,
}

impl<'a> Script<'a> {
    /// Starts the engines and deploys the project.
    pub async fn start(
        local: &'a Local,
        screen: &'a Screen,
        outputs: Outputs,
        seed: u64,
        total: u64,
    ) -> Result<Script<'a>, Fail> {
        let checked = parse_project(PROJECT, PROJECT_FILE, &BTreeMap::new()).map_err(Fail::fault)?;
        let project = Arc::new(checked.project);
        let engines = ENGINES.iter().map(|name| local.engine(name)).collect::<Result<_, _>>()?;
        let view = follow(local.mesh());
        let deployed = local.deploy(PROJECT, PROJECT_FILE).await?;
        screen.say(&format!(
            "deployed project {} version {}, {} created (seed {seed})",
            deployed.project,
            deployed.version,
            out::count(deployed.created_topics.len(), "topic")
        ));
        let url_host_port = project.url_host_port().unwrap_or_default().to_owned();
        let url = |endpoint: &mesh_model::Endpoint<'_>| {
            let place = url_host_port.replacen('_', ":", 1);
            format!("dfESP://{place}/{}/{}/{}", project.name, endpoint.query, endpoint.window)
        };
        let (input_url, output_url) = (url(&project.inputs()[0]), url(&project.outputs()[0]));
        let input_topic = Target::parse(&input_url).map_err(Fail::fault)?.input_topic();
        let script = Script {
            local,
            project: project.clone(),
            url_host_port,
            input_topic,
            screen,
            outputs,
            random: Random(seed),
            total,
            engines,
            view,
            published: Arc::default(),
            publisher: None,
            subscriber: None,
            input_url,
            output_url,
        };
        let leader = script.healthy().await?;
        script.say(&format!("{} leads in term {}, the others follow", leader.0, leader.1));
        Ok(script)
    }

    /// Says what happened.
    pub fn say(&self, text: &str) {
        self.screen.say(text);
    }

    /// Starts the adapters.
    pub async fn adapters(&mut self, input: &Path, output: &Path, rate: u64) -> Result<(), Fail> {
        let topic = Target::parse(&self.output_url).map_err(Fail::fault)?.output_topic();
        let bus = ProcessBus::new(Arc::new(self.local.bus.clone())).tapped(self.outputs.tap(topic));
        let line = format!("type=sub,url={},fsname={},fsync=false,flushms=10", self.output_url, output.display());
        self.subscriber = Some(self.local.subscriber(line, Arc::new(bus))?);
        let line = format!(
            "type=pub,url={},fsname={},header=1,addcsvopcode=true,addcsvflags=normal,noautogenfield=true,naisnull=true,\
             blocksize={BLOCK_EVENTS},rate={rate},dateformat={DATE_FORMAT}",
            self.input_url,
            input.display()
        );
        let publisher = self.local.publisher(line)?;
        self.say(&format!("publishing {} observations, {rate} a second, in blocks of {BLOCK_EVENTS}", self.total));
        let (address, published) = (publisher.address.clone(), self.published.clone());
        self.publisher = Some(publisher);
        tokio::spawn(async move {
            let Ok(link) = Caller::default().connect(&address) else { return };
            let mut client = AdapterClient::new(link);
            // the adapter ends with its source, and this with it
            while let Ok(status) = client.status(request(StatusRequest {}, LOOK_DEADLINE)).await {
                published.fetch_max(status.into_inner().events, Ordering::Relaxed);
                tokio::time::sleep(LOOK).await;
            }
        });
        Ok(())
    }

    /// Kills so many leaders and hands over once, spread over the time in which events come.
    pub async fn play(&mut self, kills: u32) -> Result<Gaps, Fail> {
        let mut gaps = Gaps::default();
        let rotation = self.random.below(DEATHS.len() as u64) as usize;
        // the switchover comes between kills, wherever the seed says
        let handover_at = self.random.below(u64::from(kills) + 1) as u32;
        for index in 0..=kills {
            self.wait_for_events(index, kills + 1).await?;
            if index == handover_at {
                gaps.switchovers.push(self.hand_over().await?);
            } else {
                let death = DEATHS[(gaps.takeovers.len() + rotation) % DEATHS.len()];
                gaps.takeovers.push(self.kill(death).await?);
            }
        }
        let publisher = self.publisher.take().expect("started before anything happens");
        self.ended("publisher", publisher, None).await?;
        self.published.store(self.total, Ordering::Relaxed);
        self.say("everything is published");
        Ok(gaps)
    }

    /// Waits until the subscriber has written everything, and ends it.
    pub async fn finish(&mut self, limit: Duration) -> Result<(), Fail> {
        let begin = Instant::now();
        loop {
            self.show();
            let commits = topics::commits(&self.local.bus, &self.url_host_port, &self.project.name)?;
            let (applied, sequences) = topics::applied(&commits);
            let published = topics::read(&self.local.bus, &self.input_topic)?.len() as u64;
            let highest = self.outputs.seen().order.highest();
            if applied == [published] && sequences == [highest] {
                break;
            }
            if begin.elapsed() > limit {
                return Err(Fail::fault(format!(
                    "wait for the last output: {limit:?} after the last event {applied:?} of {published} blocks are applied, \
                     and the subscriber has output {highest} of {sequences:?}"
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
        let subscriber = self.subscriber.take().expect("started before anything happens");
        self.ended("subscriber", subscriber, Some("everything is there")).await
    }

    /// Ends the engines politely.
    pub async fn stop(&mut self) {
        for engine in self.engines.drain(..) {
            // the result is known by now; an engine that does not end well is told, no more
            if let Err(fail) = engine.stop().await {
                out::warning(fail.text().unwrap_or_default());
            }
        }
    }

    fn show(&self) {
        let out = (self.outputs.seen().blocks * BLOCK_EVENTS as u64).min(self.total);
        // the publisher is asked now and then; what came out has gone in
        let published = self.published.load(Ordering::Relaxed).max(out);
        self.screen.show(&self.view.borrow(), published, out, self.total);
    }

    /// Waits until it is time for one of the things that happen.
    async fn wait_for_events(&mut self, index: u32, of: u32) -> Result<(), Fail> {
        let share = self.total / u64::from(of + 1);
        let due = share * u64::from(index + 1) - share / 4 + self.random.below(share / 2);
        while self.published.load(Ordering::Relaxed) < due {
            if self.publisher.as_ref().is_some_and(|publisher| publisher.running.is_finished()) {
                break;
            }
            self.show();
            tokio::time::sleep(LOOK).await;
        }
        self.healthy().await.map(|_| ())
    }

    /// Waits until one engine leads and the others could take over.
    async fn healthy(&self) -> Result<(String, u64), Fail> {
        let mut view = self.view.clone();
        let begin = Instant::now();
        while begin.elapsed() < HEALTHY {
            self.show();
            {
                let now = view.borrow_and_update();
                if let (true, Some((leader, term))) = (now.is_healthy(&ENGINES), now.leader()) {
                    return Ok((leader.to_owned(), term));
                }
            }
            // the table moves even when nothing changes
            let _ = tokio::time::timeout(LOOK, view.changed()).await;
        }
        Err(Fail::fault(format!(
            "wait for one active engine and two that are caught up: not within {HEALTHY:?}; found\n{}",
            crate::status::render(&view.borrow())
        )))
    }

    async fn kill(&mut self, death: Death) -> Result<Duration, Fail> {
        let (name, term) = self.healthy().await?;
        let place = self.engines.iter().position(|engine| engine.name == name);
        let engine =
            self.engines.swap_remove(place.ok_or_else(|| Fail::fault(format!("{name} leads, but is not ours")))?);
        tokio::time::sleep(Duration::from_micros(self.random.below(20_000))).await;
        engine.bus.set_trap(death);
        let fell = tokio::time::timeout(TRAP, engine.bus.died()).await.is_ok();
        engine.kill();
        let killed = Instant::now();
        let place = if fell { death } else { Death::Anywhere };
        self.say(&format!("{} {name}, active in term {term}, {}", out::styled(out::ERROR, "killed"), place.describe()));
        let gap = self.taken_over(term).await?;
        while killed.elapsed() < AWAY {
            self.show();
            tokio::time::sleep(LOOK.min(AWAY.saturating_sub(killed.elapsed()))).await;
        }
        self.engines.push(self.local.engine(&name)?);
        self.say(&format!("{name} is started again"));
        self.healthy().await?;
        self.say(&format!("{name} is back as standby"));
        Ok(gap)
    }

    async fn hand_over(&mut self) -> Result<Duration, Fail> {
        let (leader, term) = self.healthy().await?;
        let others: Vec<&str> = ENGINES.into_iter().filter(|engine| *engine != leader).collect();
        let engine = others[self.random.below(others.len() as u64) as usize].to_owned();
        self.say(&format!("asking {leader}, active in term {term}, to hand over to {engine}"));
        let message = PromoteRequest {
            project: self.project.name.clone(),
            engine,
            reason: "demo".to_owned(),
            ..PromoteRequest::default()
        };
        let call = |mut client: Client, request| async move { client.promote(request).await };
        self.local.mesh().call("promote in the demo", CHANGE, message, call).await?;
        self.taken_over(term).await
    }

    /// Waits for the first output of a later term; tells the gap.
    async fn taken_over(&self, term: u64) -> Result<Duration, Fail> {
        let outputs = self.outputs.clone();
        let waited = tokio::task::spawn_blocking(move || outputs.wait_for_term(term + 1, NEXT_OUTPUT)).await;
        let gap = waited.ok().flatten().ok_or_else(|| {
            Fail::fault(format!(
                "wait for an output of a term after {term}: none within {NEXT_OUTPUT:?}; found\n{}",
                crate::status::render(&self.view.borrow())
            ))
        })?;
        let mut view = self.view.clone();
        let led = |view: &View| view.leader().is_some_and(|(_, now)| now > term);
        // the status may be a moment behind the outputs
        let _ = tokio::time::timeout(HEALTHY, view.wait_for(led)).await;
        let text = match view.borrow().groups.first() {
            Some(group) => format!("{} leads in term {} ({})", group.leader, group.term, group.reason),
            None => "somebody leads".to_owned(),
        };
        let gap_ms = format!("gap {:.1} ms", gap.as_secs_f64() * 1e3);
        self.say(&format!("{text}; {} in the output", out::styled(out::GOOD, &gap_ms)));
        Ok(gap)
    }

    async fn ended(&self, name: &str, adapter: Adapter, reason: Option<&str>) -> Result<(), Fail> {
        if let Some(reason) = reason {
            adapter.scope.drain.start(reason);
        }
        let mut running = adapter.running;
        loop {
            match tokio::time::timeout(LOOK, &mut running).await {
                Err(_) => self.show(),
                Ok(Ok(Ok(()))) => return Ok(()),
                Ok(Ok(Err(failure))) => return Err(Fail::fault(format!("{name}: {failure}"))),
                Ok(Err(error)) => return Err(Fail::fault(format!("{name}: {error}"))),
            }
        }
    }
}

/// Numbers from a seed (SplitMix64), the same on every machine.
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// A number below `limit`; 0 when that is 0.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit.max(1)
    }
}
