//! Faults, done to a rig.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use mesh_event::topic::TopicKind;
use mesh_tests::foreign::{coordinator_of, leader_of};
use xtask::stack::{Part, Stop};

use crate::fault::{Dice, Kind, Piece, Strike, Whom};
use crate::net::{Net, Peer, Way};
use crate::rig::{Rig, SENT_BLOCKS_PER_S, Undo};

/// Busy processes on a machine of two processors.
const HOGS: usize = 4;
const BURST: f64 = 10.0;
/// Longest time between the two kills of [`Strike::KillTwice`]: within a takeover.
const TWICE_MS: (u64, u64) = (0, 300);

/// By how much a clock is set.
const CLOCK_STEPS_S: [i64; 4] = [-3600, -5, 5, 3600];

/// What was done.
#[derive(Debug, Clone)]
pub struct Struck {
    /// To whom or what.
    pub targets: Vec<String>,
    /// How long it shall last.
    pub lasts: Duration,
    /// What was drawn besides, in words.
    pub detail: String,
}

/// Strikes; [`Rig::heal`] undoes it.
pub fn strike(rig: &mut Rig, kind: Kind, kinds: &[Kind], dice: &mut Dice) -> Result<Struck> {
    let mut struck = Struck { targets: Vec::new(), lasts: dice.time(kind.lasts), detail: String::new() };
    match kind.strike {
        Strike::Nothing => {}
        Strike::Kill(whom) => {
            struck.targets = who(rig, whom, dice)?;
            kill(rig, &struck.targets)?;
        }
        Strike::KillTwice => {
            let first = rig.active()?;
            let others: Vec<String> = engines(rig).into_iter().filter(|name| *name != first).collect();
            let second = others[dice.below(others.len() as u64) as usize].clone();
            kill(rig, std::slice::from_ref(&first))?;
            let between = dice.time(TWICE_MS);
            std::thread::sleep(between); // a random moment, not a condition
            kill(rig, std::slice::from_ref(&second))?;
            struck.detail = format!("{} ms between", between.as_millis());
            struck.targets = vec![first, second];
        }
        Strike::Freeze(whom) => {
            struck.targets = who(rig, whom, dice)?;
            for name in &struck.targets {
                if rig.process(name)?.pid().is_some() {
                    rig.process(name)?.signal("STOP")?;
                    rig.undo.push(Undo::Resume(name.clone()));
                }
            }
        }
        Strike::HostLost => {
            let name = rig.active()?;
            cut(rig, &name, Peer::All, Way::Both)?;
            kill(rig, std::slice::from_ref(&name))?;
            struck.targets = vec![name];
        }
        Strike::Cut(whom, peer, way) => {
            struck.targets = who(rig, whom, dice)?;
            for name in &struck.targets {
                cut(rig, name, peer, way)?;
            }
        }
        Strike::Lose(whom) => {
            struck.targets = who(rig, whom, dice)?;
            let percent = 5 + dice.below(36);
            struck.detail = format!("{percent} %");
            for name in &struck.targets {
                rig.undo.push(Undo::Open(name.clone()));
                net(rig)?.lose(name, percent as f64 / 100.0)?;
            }
        }
        Strike::Narrow(whom) => {
            struck.targets = who(rig, whom, dice)?;
            let kbit_per_s = 200 + 100 * dice.below(10) as u32;
            struck.detail = format!("{kbit_per_s} kbit/s");
            for name in &struck.targets {
                rig.undo.push(Undo::Open(name.clone()));
                net(rig)?.narrow(name, kbit_per_s)?;
            }
        }
        Strike::KillPart(piece) => {
            let part = part(rig, piece)?;
            struck.targets = vec![part.to_string()];
            kill_part(rig, part)?;
        }
        Strike::FreezePart(piece) => {
            let part = part(rig, piece)?;
            struck.targets = vec![part.to_string()];
            rig.stack.pause(part)?;
            rig.undo.push(Undo::ResumePart(part));
        }
        Strike::TwoBrokers => {
            let spared = 1 + dice.below(3) as u16;
            for part in (1..=3).filter(|&number| number != spared).map(Part::Kafka) {
                struck.targets.push(part.to_string());
                kill_part(rig, part)?;
            }
        }
        Strike::Hog => {
            for _ in 0..HOGS {
                // Busy as long as this process lives, however that ends.
                let busy = format!("while kill -0 {} 2>/dev/null; do :; done", std::process::id());
                let hog = Command::new("sh").args(["-c", &busy]).stdin(Stdio::null()).spawn()?;
                rig.hogs.push(hog);
            }
            rig.undo.push(Undo::EndHogs);
        }
        Strike::Burst => {
            rig.sent.set_rate(SENT_BLOCKS_PER_S * BURST);
            rig.undo.push(Undo::UsualLoad);
        }
        Strike::DiskFull => {
            rig.fill_store()?;
            rig.undo.push(Undo::FreeStore);
        }
        Strike::ClockStep => {
            let mut names = engines(rig);
            for _ in 0..dice.below(names.len() as u64) {
                names.remove(dice.below(names.len() as u64) as usize);
            }
            let mut told = Vec::new();
            for name in &names {
                let seconds = CLOCK_STEPS_S[dice.below(CLOCK_STEPS_S.len() as u64) as usize];
                rig.undo.push(Undo::SetClockBack(name.clone()));
                rig.clocks.step(name, seconds)?;
                told.push(format!("{seconds:+} s"));
            }
            (struck.detail, struck.targets) = (told.join(", "), names);
        }
        Strike::Two => {
            let two: Vec<Kind> = kinds.iter().copied().filter(Kind::may_be_one_of_two).collect();
            for kind in [dice.kind(&two), dice.kind(&two)] {
                let said = match strike(rig, kind, kinds, dice) {
                    Ok(one) => {
                        struck.targets.extend(one.targets);
                        struck.lasts = struck.lasts.max(one.lasts);
                        one.detail
                    }
                    // The first of two may have taken what the second needs: the coordinator, who knows who publishes.
                    Err(error) => format!("(not done: {error:#})"),
                };
                struck.detail = format!("{} {} {said}", struck.detail, kind.name).trim().to_owned();
            }
        }
    }
    Ok(struck)
}

fn engines(rig: &Rig) -> Vec<String> {
    rig.mesh.engines.iter().map(|engine| engine.process.name().to_owned()).collect()
}

fn who(rig: &Rig, whom: Whom, dice: &mut Dice) -> Result<Vec<String>> {
    let elections = || rig.mesh.elections.iter().map(|election| election.name().to_owned()).collect::<Vec<_>>();
    let mut one_of = |names: Vec<String>| vec![names[dice.below(names.len() as u64) as usize].clone()];
    Ok(match whom {
        Whom::Active => vec![rig.active()?],
        Whom::Standby => {
            let active = rig.active()?;
            one_of(engines(rig).into_iter().filter(|name| *name != active).collect())
        }
        Whom::Engines => engines(rig),
        Whom::Publisher => vec![rig.leads("adapters")?],
        Whom::Publishers => rig.publishers.iter().map(|publisher| publisher.name().to_owned()).collect(),
        Whom::Subscriber => vec![rig.leads("subscribers")?],
        Whom::Subscribers => rig.subscribers.iter().map(|subscriber| subscriber.name().to_owned()).collect(),
        Whom::Election => one_of(elections()),
        Whom::Elections => elections(),
        Whom::Coordinator => vec![rig.mesh.coordinator.name().to_owned()],
        Whom::Gateway => vec![rig.gateway.name().to_owned()],
    })
}

fn kill(rig: &mut Rig, names: &[String]) -> Result<()> {
    for name in names {
        rig.undo.push(Undo::Restart(name.clone()));
        rig.process(name)?.kill()?;
    }
    Ok(())
}

fn net(rig: &Rig) -> Result<&Net> {
    rig.net.as_deref().context("this fault needs network namespaces")
}

fn cut(rig: &mut Rig, name: &str, peer: Peer, way: Way) -> Result<()> {
    rig.undo.push(Undo::Open(name.to_owned()));
    net(rig)?.cut(name, peer, way)
}

fn part(rig: &Rig, piece: Piece) -> Result<Part> {
    let kafka = &rig.mesh.env.kafka;
    let broker = match piece {
        Piece::Zookeeper => return Ok(Part::Zookeeper),
        Piece::Etcd => return Ok(Part::Etcd),
        Piece::InputLeader => leader_of(kafka, &rig.mesh.topic(TopicKind::Input))?,
        Piece::OutputLeader => leader_of(kafka, &rig.mesh.topic(TopicKind::Output))?,
        Piece::LogLeader => leader_of(kafka, &rig.mesh.log_topic())?,
        // The transactional id of a project's writers is the name of its commit log.
        Piece::TransactionCoordinator => coordinator_of(kafka, &rig.mesh.log_topic())?,
    };
    Ok(Part::Kafka(u16::try_from(broker).with_context(|| format!("{piece:?} is led by {broker}"))?))
}

fn kill_part(rig: &mut Rig, part: Part) -> Result<()> {
    rig.undo.push(Undo::StartPart(part));
    rig.stack.stop(part, Stop::Kill)?;
    Ok(())
}
