//! Spans arrive at a collector, as one trace, and only those of traced blocks.

use mesh_proto::engine::StatusRequest;
use mesh_service::telemetry::{Attribute, block_span, init_traces, root_span};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::play::{options, start, within};

struct Collector(mpsc::Sender<(String, Span)>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let name = format!("{:?}", attributes.iter().find(|attribute| attribute.key == "service.name"));
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.0.send((name.clone(), span)).await.unwrap();
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_from_the_root_over_a_header_into_a_handler() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, mut spans) = mpsc::channel(64);
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(Collector(sender)));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let guard = init_traces("esp-test", "test-1", &endpoint).unwrap();

    // a block enters, on a plain thread
    let root = root_span("publisher.read", 1.0, &[Attribute::text("source", "weather.csv")]);
    let header = root.traceparent().unwrap();
    let trace = root.trace_id().unwrap();
    let made = std::thread::spawn({
        let header = header.clone();
        move || {
            let mut span = block_span("engine.apply", Some(&header), &[Attribute::number("events", 512)]);
            span.set(Attribute::number("term", 3));
            let next = span.traceparent().unwrap();
            span.end();
            next
        }
    });
    let next = made.join().unwrap();
    assert_ne!(next, header);
    root.end();

    // it is handed on to a request, whose handler goes on with it
    let mut running = start(options()).await;
    let mut message = Request::new(StatusRequest::default());
    message.metadata_mut().insert("traceparent", next.parse().unwrap());
    let carried = within("an answer", running.client.status(message)).await.unwrap().into_inner().engine;
    assert!(carried.contains(&trace) && carried != next, "{carried}");
    let bare = within("an answer", running.client.status(StatusRequest::default())).await.unwrap().into_inner();
    assert_eq!(bare.engine, "", "a request outside a trace makes none");

    // a block that is not traced leaves nothing
    assert!(!block_span("engine.apply", Some(&header.replace("-01", "-00")), &[]).is_recording());
    assert!(!root_span("publisher.read", 0.0, &[]).is_recording());

    tokio::task::spawn_blocking(move || guard.shutdown(Duration::from_secs(10))).await.unwrap();
    let mut names = Vec::new();
    while let Ok((service, span)) = spans.try_recv() {
        assert!(service.contains("esp-test"), "{service}");
        assert_eq!(hex(&span.trace_id), trace);
        names.push((span.name, hex(&span.parent_span_id)));
    }
    let of = |name: &str| {
        names.iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("{name} in {names:?}")).1.clone()
    };
    assert_eq!(of("publisher.read"), "");
    assert!(header.contains(&of("engine.apply")));
    assert!(next.contains(&of("rpc")));
    assert_eq!(names.len(), 3);
}
