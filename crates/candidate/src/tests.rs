//! The candidate against election instances that are played by the test.

use std::pin::Pin;
use std::time::Duration;

use mesh_proto::election as pb;
use mesh_proto::election::election_server::{Election, ElectionServer};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use crate::{CandidateEvent, CandidateHandle, CandidateOptions, CredentialsSource, Progress, Role};

const PATIENCE: Duration = Duration::from_secs(10);

type Boxed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Answers = mpsc::Sender<Result<pb::ElectionMessage, Status>>;

/// An election instance that says what the test says.
#[derive(Clone)]
struct Played {
    streams: mpsc::Sender<(Streaming<pb::CandidateMessage>, Answers)>,
}

#[tonic::async_trait]
impl Election for Played {
    type AttendStream = Boxed<pb::ElectionMessage>;
    type WatchStream = Boxed<pb::StatusResponse>;

    async fn attend(
        &self,
        request: Request<Streaming<pb::CandidateMessage>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let (answers, receiver) = mpsc::channel(16);
        self.streams.send((request.into_inner(), answers)).await.map_err(|_| Status::unavailable("over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn status(&self, _: Request<pb::StatusRequest>) -> Result<Response<pb::StatusResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn watch(&self, _: Request<pb::StatusRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn maintain(&self, _: Request<pb::MaintainRequest>) -> Result<Response<pb::MaintainResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn promote(&self, _: Request<pb::PromoteRequest>) -> Result<Response<pb::PromoteResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }
}

/// A running instance; ends with the value.
struct Instance {
    endpoint: String,
    streams: mpsc::Receiver<(Streaming<pb::CandidateMessage>, Answers)>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Instance {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let (sender, streams) = mpsc::channel(4);
        let service = ElectionServer::new(Played { streams: sender });
        let server = tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
        });
        Self { endpoint, streams, server }
    }

    /// The next stream of the candidate, and the join it begins with.
    async fn accept(&mut self) -> (Attached, pb::Join) {
        let (messages, answers) = soon("a stream", self.streams.recv()).await.unwrap();
        let mut attached = Attached { messages, answers };
        match attached.hear().await {
            pb::candidate_message::Message::Join(join) => (attached, join),
            other => panic!("the first message is {other:?}"),
        }
    }
}

struct Attached {
    messages: Streaming<pb::CandidateMessage>,
    answers: Answers,
}

impl Attached {
    async fn hear(&mut self) -> pb::candidate_message::Message {
        soon("a message", self.messages.next()).await.unwrap().unwrap().message.unwrap()
    }

    async fn hear_progress(&mut self) -> pb::Progress {
        match self.hear().await {
            pb::candidate_message::Message::Progress(progress) => progress,
            other => panic!("expected progress, found {other:?}"),
        }
    }

    async fn say(&self, message: pb::election_message::Message) {
        self.answers.send(Ok(pb::ElectionMessage { message: Some(message) })).await.unwrap();
    }
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

async fn next(events: &mut mpsc::Receiver<CandidateEvent>) -> CandidateEvent {
    soon("an event", events.recv()).await.expect("events go on")
}

fn options(endpoints: &[&Instance]) -> CandidateOptions {
    CandidateOptions {
        group: "g".into(),
        candidate: "a".into(),
        address: "127.0.0.1:9".into(),
        incarnation: 7,
        endpoints: endpoints.iter().map(|instance| instance.endpoint.clone()).collect(),
        heartbeat: Duration::from_millis(20),
        credentials: CredentialsSource::default(),
    }
}

fn grant(term: u64) -> pb::election_message::Message {
    pb::election_message::Message::Grant(pb::Grant { term, reason: "test".into() })
}

fn standby(term: u64) -> Progress {
    Progress { caught_up: true, role: Role::Standby, term, ..Progress::default() }
}

#[tokio::test]
async fn a_repeated_grant_is_passed_on_once_and_the_next_instance_hears_of_the_term() {
    let (mut one, mut two) = (Instance::start().await, Instance::start().await);
    let (_handle, mut events) = CandidateHandle::start(options(&[&one, &two])).unwrap();
    let (first, join) = one.accept().await;
    assert_eq!((join.group.as_str(), join.candidate.as_str(), join.incarnation, join.known_term), ("g", "a", 7, 0));
    assert_eq!(next(&mut events).await, CandidateEvent::Attached { endpoint: one.endpoint.clone() });
    first.say(grant(3)).await;
    first.say(grant(3)).await;
    first.say(grant(2)).await;
    first.say(pb::election_message::Message::Leader(pb::Leader { term: 4, candidate: "b".into() })).await;
    assert_eq!(next(&mut events).await, CandidateEvent::Granted { term: 3, reason: "test".into() });
    assert_eq!(next(&mut events).await, CandidateEvent::Leader { term: 4, candidate: "b".into() });

    drop(first);
    drop(one);
    assert_eq!(next(&mut events).await, CandidateEvent::Detached);
    let (_second, join) = two.accept().await;
    assert_eq!(join.known_term, 4, "the highest term heard of");
    assert_eq!(next(&mut events).await, CandidateEvent::Attached { endpoint: two.endpoint.clone() });
}

#[tokio::test]
async fn no_sign_of_life_is_invented() {
    let mut one = Instance::start().await;
    let (handle, _events) = CandidateHandle::start(options(&[&one])).unwrap();
    let (mut stream, _) = one.accept().await;
    handle.progress(standby(0));
    assert!(stream.hear_progress().await.caught_up);
    handle.progress(Progress { commit_number: 5, ..standby(0) });
    assert_eq!(stream.hear_progress().await.commit_number, 5, "the next beat has the latest report");
    let silence = tokio::time::timeout(Duration::from_millis(200), stream.messages.next()).await;
    assert!(silence.is_err(), "ten beats without a report: {silence:?}");
    let began = tokio::time::Instant::now();
    handle.progress(Progress { role: Role::Active, term: 1, ..standby(0) });
    let progress = stream.hear_progress().await;
    assert_eq!((progress.role(), progress.term), (pb::Role::Active, 1));
    assert!(began.elapsed() < Duration::from_secs(1));

    // an old report is no sign of life for the next stream either
    drop(stream);
    let (mut stream, _) = one.accept().await;
    let silence = tokio::time::timeout(Duration::from_millis(200), stream.messages.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    handle.progress(Progress { role: Role::Active, term: 1, ..standby(0) });
    assert_eq!(stream.hear_progress().await.role(), pb::Role::Active);
}

#[tokio::test]
async fn a_step_down_is_said_again_after_a_break_until_a_higher_term_is_heard_of() {
    let mut one = Instance::start().await;
    let (handle, mut events) = CandidateHandle::start(options(&[&one])).unwrap();
    let expected = pb::candidate_message::Message::SteppedDown(pb::SteppedDown {
        term: 1,
        successor: "b".into(),
        parked: false,
        reason: "asked".into(),
    });
    let (mut stream, _) = one.accept().await;
    stream.say(grant(1)).await;
    stream.say(pb::election_message::Message::HandOver(pb::HandOver { term: 1, successor: "b".into() })).await;
    while next(&mut events).await != (CandidateEvent::HandOver { term: 1, successor: "b".into() }) {}
    handle.stepped_down(1, "b", "asked");
    assert_eq!(stream.hear().await, expected);
    drop(stream);
    let (mut stream, _) = one.accept().await;
    assert_eq!(stream.hear().await, expected);
    stream.say(pb::election_message::Message::Leader(pb::Leader { term: 2, candidate: "b".into() })).await;
    while next(&mut events).await != (CandidateEvent::Leader { term: 2, candidate: "b".into() }) {}
    drop(stream);
    let (mut stream, join) = one.accept().await;
    assert_eq!(join.known_term, 2);
    handle.progress(standby(2));
    assert_eq!(stream.hear_progress().await.term, 2, "and not the step-down");
}

#[tokio::test]
async fn leaving_is_said_and_dropping_breaks_the_stream_without_a_word() {
    let mut one = Instance::start().await;
    let (handle, mut events) = CandidateHandle::start(options(&[&one])).unwrap();
    let (mut stream, _) = one.accept().await;
    handle.leave();
    assert_eq!(stream.hear().await, pb::candidate_message::Message::Leave(pb::Leave {}));
    drop(stream);
    soon("the end of the events", async { while events.recv().await.is_some() {} }).await;

    let (handle, _events) = CandidateHandle::start(options(&[&one])).unwrap();
    let (mut stream, _) = one.accept().await;
    drop(handle);
    let last = soon("the break", stream.messages.next()).await;
    assert!(!matches!(last, Some(Ok(_))), "{last:?}");
}

#[tokio::test]
async fn every_instance_is_tried_until_one_answers() {
    let mut late = Instance::start().await;
    let mut wanted = options(&[&late]);
    wanted.endpoints = ["127.0.0.1:1".to_owned(), "127.0.0.1:2".into(), late.endpoint.clone()].into();
    let (_handle, mut events) = CandidateHandle::start(wanted).unwrap();
    late.accept().await;
    assert_eq!(next(&mut events).await, CandidateEvent::Attached { endpoint: late.endpoint.clone() });
}

#[test]
fn options_that_cannot_work_are_named() {
    let good = CandidateOptions {
        group: "g".into(),
        candidate: "a".into(),
        address: "127.0.0.1:9".into(),
        incarnation: 7,
        endpoints: vec!["127.0.0.1:1".into()],
        heartbeat: Duration::from_millis(50),
        credentials: CredentialsSource::default(),
    };
    let refused = |change: fn(&mut CandidateOptions)| {
        let mut options = good.clone();
        change(&mut options);
        options.check().unwrap_err().to_string()
    };
    assert!(good.check().is_ok());
    assert_eq!(
        refused(|options| options.heartbeat = Duration::from_secs(1)),
        "candidate `a`: heartbeat is 1s, expected 5ms to 200ms"
    );
    assert!(refused(|options| options.endpoints.clear()).contains("expected at least one `host:port`"));
    assert!(refused(|options| options.endpoints = vec!["a b".into()]).contains("election instance `a b`"));
    assert!(refused(|options| options.group.clear()).contains("group is empty"));
}
