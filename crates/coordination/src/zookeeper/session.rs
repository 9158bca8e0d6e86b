//! Keeps a session with ZooKeeper: connects, reports its state, and begins a new one after an expiry.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::watch;
use zookeeper_client::{self as zk, Client, StateWatcher};

use super::ZookeeperOptions;
use crate::{Error, Latest, Session, SessionState, TlsPem};

/// First and longest pause between attempts to open a session.
const RECONNECT_FIRST: Duration = Duration::from_millis(50);
const RECONNECT_MOST: Duration = Duration::from_secs(1);
/// Root of everything, as in the reference architecture.
const ROOT: &str = "/ESP";

/// The present client and what is known of its session. The task that keeps it ends with the last handle.
#[derive(Debug)]
pub(super) struct Keeper {
    options: ZookeeperOptions,
    client: Mutex<Option<Client>>,
    session: watch::Sender<Option<Arc<Session>>>,
    task: Mutex<Option<tokio::task::AbortHandle>>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let task = self.task.lock().expect("no code panics while it holds this lock").take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl Keeper {
    pub(super) fn start(options: ZookeeperOptions) -> Result<Arc<Self>, Error> {
        check(&options)?;
        let first = Session { number: 0, state: SessionState::Disconnected };
        let keeper = Arc::new(Self {
            options,
            client: Mutex::new(None),
            session: watch::Sender::new(Some(Arc::new(first))),
            task: Mutex::new(None),
        });
        let task = tokio::spawn(keep(Arc::downgrade(&keeper), keeper.options.clone()));
        *keeper.task.lock().expect("no code panics while it holds this lock") = Some(task.abort_handle());
        Ok(keeper)
    }

    pub(super) fn options(&self) -> &ZookeeperOptions {
        &self.options
    }

    pub(super) fn root(&self) -> &'static str {
        ROOT
    }

    /// The client of the present session.
    pub(super) fn client(&self, attempted: &str) -> Result<Client, Error> {
        // a request made while disconnected would be queued and might be carried out much later: refuse it instead
        let state = self.session.borrow().as_deref().map_or(SessionState::Disconnected, |session| session.state);
        let client = self.client.lock().expect("no code panics while it holds this lock").clone();
        match (client, state) {
            (Some(client), SessionState::Connected) => Ok(client),
            (_, state) => {
                let reason = format!("the session with ZooKeeper at {} is {state}", self.options.hosts);
                Err(Error::unavailable(attempted, reason))
            }
        }
    }

    pub(super) fn session(&self) -> Latest<Session> {
        Latest::new(self.session.subscribe())
    }

    /// For the watches: told of each new session.
    pub(super) fn sessions(&self) -> watch::Receiver<Option<Arc<Session>>> {
        self.session.subscribe()
    }

    fn tell(&self, number: u64, state: SessionState) {
        self.session.send_if_modified(|session| {
            let new = Session { number, state };
            let changed = session.as_deref() != Some(&new);
            if changed {
                tracing::info!(number, %state, hosts = self.options.hosts, "ZooKeeper session");
                *session = Some(Arc::new(new));
            }
            changed
        });
    }

    fn set_client(&self, client: Option<Client>) {
        *self.client.lock().expect("no code panics while it holds this lock") = client;
    }
}

fn check(options: &ZookeeperOptions) -> Result<(), Error> {
    let attempted = format!("use ZooKeeper at `{}`", options.hosts);
    let hosts = options.hosts.split('/').next().unwrap_or_default();
    let good = |host: &str| {
        host.trim().rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
    };
    if let Some(bad) = hosts.split(',').find(|host| !good(host)) {
        return Err(Error::invalid(attempted, format!("found `{bad}`, expected `host:port,host:port/chroot`")));
    }
    if let Some(error) = options.tls.as_ref().and_then(|pem| tls(pem).err()) {
        return Err(Error::invalid(attempted, format!("expected certificates and keys in PEM form, found {error}")));
    }
    if options.session_timeout < Duration::from_millis(100) || options.call_timeout.is_zero() {
        return Err(Error::invalid(
            attempted,
            "expected a session timeout of at least 100 ms and a call timeout above 0",
        ));
    }
    Ok(())
}

/// Opens one session after the other for as long as the keeper lives.
async fn keep(keeper: Weak<Keeper>, options: ZookeeperOptions) {
    let mut number = 0;
    let mut pause = RECONNECT_FIRST;
    loop {
        match connect(&options).await {
            Ok(client) => {
                pause = RECONNECT_FIRST;
                number += 1;
                let mut states = client.state_watcher();
                let Some(held) = keeper.upgrade() else { return };
                held.set_client(Some(client));
                held.tell(number, SessionState::Connected);
                drop(held);
                follow(&keeper, number, &mut states).await;
            }
            Err(error) => {
                tracing::warn!(hosts = options.hosts, %error, "cannot open a session with ZooKeeper; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RECONNECT_MOST);
            }
        }
    }
}

/// Reports the states of one session until it has ended.
async fn follow(keeper: &Weak<Keeper>, number: u64, states: &mut StateWatcher) {
    // a change between connecting and watching is the present state, not an event
    let mut state = states.state();
    loop {
        let Some(keeper) = keeper.upgrade() else {
            return;
        };
        match state {
            zk::SessionState::SyncConnected => keeper.tell(number, SessionState::Connected),
            zk::SessionState::Disconnected | zk::SessionState::ConnectedReadOnly => {
                keeper.tell(number, SessionState::Disconnected);
            }
            zk::SessionState::Expired | zk::SessionState::AuthFailed | zk::SessionState::Closed => {
                keeper.set_client(None);
                keeper.tell(number, SessionState::Expired);
                return;
            }
        }
        drop(keeper);
        state = states.changed().await;
    }
}

fn tls(pem: &TlsPem) -> Result<zk::TlsOptions, zk::Error> {
    let options = zk::TlsOptions::new().with_pem_ca(&pem.ca)?;
    match &pem.identity {
        None => Ok(options),
        Some((cert, key)) => options.with_pem_identity(cert, key),
    }
}

/// Opens a session, and makes the chroot if there is none yet.
async fn connect(options: &ZookeeperOptions) -> Result<Client, zk::Error> {
    let (hosts, chroot) = match options.hosts.split_once('/') {
        Some((hosts, chroot)) if !chroot.is_empty() => (hosts, Some(format!("/{chroot}"))),
        Some((hosts, _)) => (hosts, None),
        None => (options.hosts.as_str(), None),
    };
    let connector = zk::Client::connector().with_session_timeout(options.session_timeout);
    let client = match &options.tls {
        None => connector.connect(hosts).await?,
        Some(pem) => connector.with_tls(tls(pem)?).secure_connect(hosts).await?,
    };
    let Some(chroot) = chroot else {
        return Ok(client);
    };
    let options_of_chroot = super::persistent();
    let made = client.mkdir(&chroot, &options_of_chroot);
    tokio::time::timeout(options.call_timeout, made).await.map_err(|_| zk::Error::Timeout)??;
    client.chroot(chroot).map_err(|_| zk::Error::BadArguments(&"the chroot is no valid path"))
}
