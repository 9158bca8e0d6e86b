//! Messages of notification windows are sent by the engine that leads, each once, and go on where another takes over.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use common::{DEADLINE, Mesh, wait_until};
use mesh_bus::{Bus, TopicSpec};
use mesh_connector::notify::MARKS_TOPIC;
use mesh_engine::project::connectors::mail::Mail;

/// A message by mail and one by a request for each event; the channel `never` is a test.
fn project(smtp: u16, http: u16) -> String {
    format!(
        "<project name='p' pubsub='auto'><contqueries><contquery name='cq'><windows>
        <window-source name='s' index='pi_EMPTY' insert-only='true'><schema-string>id*:int64,x:double</schema-string>
        </window-source><window-notification name='n'><smtp host='127.0.0.1' port='{smtp}'/><delivery-channels>
        <email name='loud'><email-info><sender>mesh@x.org</sender><recipients>you@x.org</recipients>
        <subject>event $id</subject></email-info><email-contents><text-content name='t'>x is $x</text-content>
        </email-contents></email><webhook name='hook'><webhook-info><url>http://127.0.0.1:{http}/hook</url></webhook-info>
        <webhook-contents><text-content name='t'>{{\"id\": $id}}</text-content></webhook-contents></webhook>
        <email name='never' test='true'><email-info><sender>mesh@x.org</sender><recipients>no@x.org</recipients>
        </email-info></email></delivery-channels></window-notification></windows>
        <edges><edge source='s' target='n'/></edges></contquery></contqueries></project>"
    )
}

type Received = Arc<Mutex<Vec<String>>>;

/// Takes connections, each on a thread of its own, until the test ends.
fn server(serve: impl Fn(TcpStream, &Received) + Send + Sync + 'static) -> (u16, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = Received::default();
    let (serve, to) = (Arc::new(serve), received.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (serve, to) = (serve.clone(), to.clone());
            std::thread::spawn(move || serve(stream, &to));
        }
    });
    (port, received)
}

fn smtp(stream: TcpStream, received: &Received) {
    let mut out = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes()).is_ok();
    say("220 test");
    while let Some(line) = lines.next() {
        let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "DATA" => {
                say("354 go on");
                let mail: Vec<String> = lines.by_ref().take_while(|line| line != ".").collect();
                received.lock().unwrap().push(mail.join("\n"));
                say("250 taken");
            }
            "QUIT" => {
                say("221 bye");
                return;
            }
            _ => {
                say("250 ok");
            }
        }
    }
}

fn http(stream: TcpStream, received: &Received) {
    let mut out = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "idempotency-key" => head.push(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    received.lock().unwrap().push(format!("{} {}", head.join(" "), String::from_utf8(body).unwrap()));
    out.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
}

fn mesh(xml: &str, addresses: &[&str]) -> Mesh {
    let mut mesh = Mesh::of(xml);
    let spec = TopicSpec { name: MARKS_TOPIC.to_owned(), replication_factor: 1, settings: BTreeMap::new() };
    assert!(mesh.bus.create_topic(&spec, DEADLINE).unwrap());
    mesh.mail = Mail { addresses: addresses.iter().map(|&address| address.to_owned()).collect(), ..Mail::default() };
    mesh
}

#[test]
fn each_message_is_sent_once_by_whoever_leads() {
    let ((smtp_port, mails), (http_port, posts)) = (server(smtp), server(http));
    let mut mesh = mesh(&project(smtp_port, http_port), &["127.0.0.1:*"]);
    let (a, b) = (mesh.engine("a"), mesh.engine("b"));
    a.grant(1);
    mesh.publish(3);
    let count = |received: &Received| received.lock().unwrap().len();
    wait_until("the messages of the first", || count(&mails) == 6 && count(&posts) == 6);
    let status = || a.project.reports.last().connectors;
    wait_until("the status", || status().iter().any(|c| c.connector == "cq/n/messages" && c.events == 12));
    // Its sender is at an end then: one that ends in the middle of a message leaves it to be sent again.
    a.project.stop();
    b.grant(2);
    mesh.publish(2);
    wait_until("those of the second", || count(&mails) >= 10 && count(&posts) >= 10);
    let posts = posts.lock().unwrap().clone();
    // Three messages for each event: the mail, the request, the test that nobody sends.
    let expected = |id: usize| format!("{}-{} {{\"id\": {id}}}", mesh.topics.outputs[0], 3 * id + 2);
    assert_eq!(posts, (0..10).map(expected).collect::<Vec<_>>());
    let mails = mails.lock().unwrap().clone();
    assert_eq!(mails.len(), 10);
    for (id, mail) in mails.iter().enumerate() {
        assert!(mail.contains(&format!("Subject: event {id}")) && mail.contains("To: you@x.org"), "{mail}");
        assert!(mail.contains(&format!("Message-ID: <{}-{}@esp-mesh>", mesh.topics.outputs[0], 3 * id + 1)), "{mail}");
    }
}

#[test]
fn nobody_is_reached_who_is_not_permitted_and_what_waits_goes_out_later() {
    let ((smtp_port, mails), (http_port, posts)) = (server(smtp), server(http));
    let mut mesh = mesh(&project(smtp_port, http_port), &["mail.x.org:25"]);
    let a = mesh.engine("a");
    a.grant(1);
    mesh.publish(1);
    let error = || a.project.reports.last().connectors.first().map(|c| c.error.clone()).unwrap_or_default();
    wait_until("the refusal", || error().contains("not in `notification_addresses`, which has mail.x.org:25"));
    assert!(mails.lock().unwrap().is_empty() && posts.lock().unwrap().is_empty());
    drop(a);
    mesh.mail.addresses = vec![format!("127.0.0.1:{smtp_port}"), format!("127.0.0.1:{http_port}")];
    let b = mesh.engine("b");
    b.grant(2);
    wait_until("what had waited", || mails.lock().unwrap().len() == 2 && posts.lock().unwrap().len() == 2);
    mesh.mail.addresses.clear();
    let c = mesh.engine("c");
    assert!(c.project.reports.last().connectors.is_empty(), "without addresses there is no sender");
}
