//! A TCP proxy that can be cut: connections break, and no new ones are made.

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    address: String,
    cut: Arc<watch::Sender<bool>>,
}

impl Proxy {
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cut = Arc::new(watch::Sender::new(false));
        let (target, changes) = (target.to_owned(), cut.subscribe());
        tokio::spawn(async move {
            while let Ok((mut inward, _)) = listener.accept().await {
                let (target, mut changes) = (target.clone(), changes.clone());
                tokio::spawn(async move {
                    if *changes.borrow() {
                        return;
                    }
                    let mut outward = TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut inward, &mut outward) => {}
                        _ = changes.wait_for(|cut| *cut) => {}
                    }
                });
            }
        });
        Self { address, cut }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn set_cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}
