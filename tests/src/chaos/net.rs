//! A network of this machine's own for one run: a namespace per process, joined by a bridge, cut by iptables.
//!
//! The stack stays on the loopback of the machine. In a namespace its addresses look the same: what goes to
//! `127.0.0.1:<port of the stack>` is sent to the bridge, and from there to the machine's loopback. So every process has
//! the settings that it has without namespaces, and everything that it sends passes its own `eth0`, where it can be cut.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use mesh_tests::mesh::Place;
use xtask::stack::Ports;

/// The bridge; there is one run at a time.
const BRIDGE: &str = "mchaos0";
/// First part of the names of namespaces and of the machine's ends of the cables.
const PREFIX: &str = "mchaos";
/// First three bytes of every address.
const SUBNET: &str = "10.79.0";
const GATEWAY: &str = "10.79.0.1";
/// First port that servers in a namespace get.
const FIRST_PORT: u16 = 7000;

/// Which direction of a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Nothing comes or goes.
    Both,
    /// Nothing comes in.
    In,
    /// Nothing goes out.
    Out,
}

/// From whom a process is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// All Kafka brokers.
    Kafka,
    /// ZooKeeper.
    Zookeeper,
    /// All election instances.
    Elections,
    /// Everybody.
    All,
}

/// What a disk for snapshots is called in the list of mounts; its folder ends with the number of its process.
pub const DISK: &str = "mesh-chaos";

struct Host {
    number: u8,
    next_port: u16,
}

/// The namespaces of one run. Dropped, they are gone, with everything that ran in them.
pub struct Net {
    ports: Ports,
    hosts: Mutex<BTreeMap<String, Host>>,
}

impl Net {
    /// Makes the bridge, after removing what a crashed run left behind. The error says what the machine does not allow.
    pub fn new(ports: &Ports) -> Result<Net> {
        remove_all(true)?;
        remove_disks()?;
        let mut script = format!(
            "ip link add {BRIDGE} type bridge; ip addr add {GATEWAY}/24 dev {BRIDGE}; ip link set {BRIDGE} up\n\
             echo 1 > /proc/sys/net/ipv4/conf/{BRIDGE}/route_localnet\n\
             iptables -w -I FORWARD -i {BRIDGE} -o {BRIDGE} -j ACCEPT\n"
        );
        for port in stack_ports(ports) {
            script += &format!(
                "iptables -w -t nat -A PREROUTING -i {BRIDGE} -d {GATEWAY} -p tcp --dport {port} -j DNAT \
                 --to-destination 127.0.0.1\n"
            );
        }
        let net = Net { ports: ports.clone(), hosts: Mutex::default() };
        shell(&script).context("making a bridge")?;
        net.add("probe").context("making a namespace")?;
        Ok(net)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the namespace of a process, if it is not there.
    fn add(&self, process: &str) -> Result<()> {
        let mut hosts = self.lock();
        if hosts.contains_key(process) {
            return Ok(());
        }
        let number = u8::try_from(hosts.len() + 2).context("more processes than addresses")?;
        let (space, cable) = (namespace(process), format!("{PREFIX}{number}"));
        let mut script = format!(
            "ip netns add {space}\n\
             ip link add {cable} type veth peer name eth0 netns {space}\n\
             ip link set {cable} master {BRIDGE} up\n\
             ip -n {space} link set lo up; ip -n {space} addr add {SUBNET}.{number}/24 dev eth0\n\
             ip -n {space} link set eth0 up\n\
             ip netns exec {space} sh -ec 'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet\n"
        );
        for port in stack_ports(&self.ports) {
            script += &format!(
                "iptables -w -t nat -A OUTPUT -d 127.0.0.1 -p tcp --dport {port} -j DNAT --to-destination {GATEWAY}\n"
            );
        }
        script += "iptables -w -t nat -A POSTROUTING -o eth0 -j MASQUERADE'\n";
        hosts.insert(process.to_owned(), Host { number, next_port: FIRST_PORT });
        shell(&script).with_context(|| format!("the network namespace of {process}"))
    }

    /// Cuts a process off.
    pub fn cut(&self, process: &str, peer: Peer, way: Way) -> Result<()> {
        let stack = |ports: &[u16]| ports.iter().map(|port| (GATEWAY.to_owned(), Some(*port))).collect();
        let whom: Vec<(String, Option<u16>)> = match peer {
            Peer::Kafka => stack(&self.ports.kafka),
            Peer::Zookeeper => stack(&[self.ports.zookeeper]),
            Peer::All => vec![("0.0.0.0/0".to_owned(), None)],
            Peer::Elections => {
                let hosts = self.lock();
                let elections = hosts.iter().filter(|(name, _)| name.starts_with("election"));
                elections.map(|(_, host)| (format!("{SUBNET}.{}", host.number), None)).collect()
            }
        };
        let mut script = String::new();
        for (address, port) in whom {
            let port = |flag: &str| port.map(|port| format!("-p tcp {flag} {port}")).unwrap_or_default();
            if way != Way::Out {
                let from = port("--sport");
                script += &format!("iptables -w -t mangle -A PREROUTING -i eth0 -s {address} {from} -j DROP\n");
            }
            if way != Way::In {
                let to = port("--dport");
                script += &format!("iptables -w -A OUTPUT -o eth0 -d {address} {to} -j DROP\n");
            }
        }
        self.inside(process, &script)
    }

    /// Loses this share of the packets of a process, both ways.
    pub fn lose(&self, process: &str, share: f64) -> Result<()> {
        let random = format!("-m statistic --mode random --probability {share:.3} -j DROP");
        self.inside(
            process,
            &format!("iptables -w -t mangle -A PREROUTING -i eth0 {random}\niptables -w -A OUTPUT -o eth0 {random}\n"),
        )
    }

    /// Lets a process send so many kilobits a second only; what is more waits up to a second.
    pub fn narrow(&self, process: &str, kbit_per_s: u32) -> Result<()> {
        let rate = format!("tc qdisc replace dev eth0 root tbf rate {kbit_per_s}kbit burst 4kb latency 1000ms\n");
        self.inside(process, &rate)
    }

    /// Ends every cut, loss and narrowing of a process.
    pub fn open(&self, process: &str) -> Result<()> {
        self.inside(
            process,
            "iptables -w -F OUTPUT; iptables -w -t mangle -F PREROUTING; tc qdisc del dev eth0 root 2>/dev/null || true\n",
        )
    }

    fn inside(&self, process: &str, script: &str) -> Result<()> {
        ensure!(self.lock().contains_key(process), "{process} has no network namespace");
        shell(&format!("ip netns exec {} sh -ec '{script}'", namespace(process)))
            .with_context(|| format!("the network of {process}"))
    }
}

impl Place for Net {
    fn address(&self, process: &str) -> Result<String> {
        self.add(process)?;
        let mut hosts = self.lock();
        let host = hosts.get_mut(process).context("it was just added")?;
        host.next_port += 1;
        Ok(format!("{SUBNET}.{}:{}", host.number, host.next_port))
    }

    fn command(&self, process: &str, program: PathBuf, arguments: Vec<String>) -> Result<(PathBuf, Vec<String>)> {
        self.add(process)?;
        // `ip netns exec` becomes the program, so the process that we started is the one that we kill.
        let mut all = vec!["netns".to_owned(), "exec".to_owned(), namespace(process)];
        all.push(program.display().to_string());
        all.extend(arguments);
        Ok((PathBuf::from("ip"), all))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if let Err(error) = remove_all(false) {
            eprintln!("removing the network namespaces: {error:#}; the next run removes what is left");
        }
    }
}

fn namespace(process: &str) -> String {
    format!("{PREFIX}-{}-{process}", std::process::id())
}

fn stack_ports(ports: &Ports) -> Vec<u16> {
    [&ports.kafka[..], &[ports.zookeeper, ports.etcd, ports.otlp]].concat()
}

/// Unmounts the snapshot disks of runs that have crashed.
fn remove_disks() -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/mounts").context("reading /proc/mounts")?;
    for folder in mounts.lines().filter_map(|line| line.strip_prefix(DISK)?.split_whitespace().next()) {
        let owner = folder.rsplit('-').next().unwrap_or_default();
        if !Path::new(&format!("/proc/{owner}")).exists() {
            shell(&format!("umount --lazy {folder}; rmdir {folder}"))?;
        }
    }
    Ok(())
}

/// Removes all namespaces with what runs in them, the bridge, and the rules; with `others` also those of a run that has
/// crashed. One that still runs is left alone, and an error.
pub fn remove_all(others: bool) -> Result<()> {
    let list = Command::new("ip").args(["netns", "list"]).output().context("starting `ip` (package iproute2)")?;
    let mut script = String::new();
    for space in String::from_utf8_lossy(&list.stdout).lines().filter_map(|line| line.split_whitespace().next()) {
        let Some(owner) = space.strip_prefix(&format!("{PREFIX}-")).and_then(|rest| rest.split('-').next()) else {
            continue;
        };
        if owner != std::process::id().to_string() {
            if Path::new(&format!("/proc/{owner}")).exists() {
                bail!("another chaos run (pid {owner}) holds the namespaces; wait for its end, or end it");
            }
            if !others {
                continue;
            }
        }
        script +=
            &format!("for pid in $(ip netns pids {space}); do kill -9 $pid || true; done\nip netns del {space}\n");
    }
    // The kernel takes a namespace away some time after its name, and the cable with it; the next run wants that name.
    script += &format!(
        "for cable in $(ip -o link show type veth | grep -o '{PREFIX}[0-9][0-9]*'); do\n\
         ip link del $cable 2>/dev/null || true; done\n"
    );
    let rules = |table: &str, chain: &str| {
        format!(
            "iptables -w -t {table} -S {chain} 2>/dev/null | grep -e '-i {BRIDGE}' | sed 's/^-A/iptables -w -t {table} -D/' \
             | sh -e\n"
        )
    };
    script += &rules("filter", "FORWARD");
    script += &rules("nat", "PREROUTING");
    script += &format!("! ip link show {BRIDGE} >/dev/null 2>&1 || ip link del {BRIDGE}\n");
    shell(&script)
}

fn shell(script: &str) -> Result<()> {
    let output = Command::new("sh").args(["-ec", script]).stdin(Stdio::null()).output().context("starting sh")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", output.status, said.trim());
    }
    Ok(())
}
