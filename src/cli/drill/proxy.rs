//! A wire that can be cut: listens where a server is announced, passes bytes to where it really
//! listens, and while it is cut passes nothing in either direction, without closing anything. What was
//! sent meanwhile arrives when it is mended, as TCP would have it.
//!
//! It stands in for a firewall rule, which would need root.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const DIAL_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Proxy {
    cut: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(super) async fn start(outside: u16, inside: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", outside)).await?;
        let (cut, _) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let wire = cut.clone();
        tasks.spawn(async move {
            let mut streams = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            streams.spawn(pass(stream, ([127, 0, 0, 1], inside).into(), wire.subscribe()));
                        }
                        Err(_) => tokio::time::sleep(DIAL_AGAIN).await,
                    },
                    Some(_) = streams.join_next() => {}
                }
            }
        });
        Ok(Proxy { cut, _tasks: tasks })
    }

    pub(super) fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

async fn pass(outside: TcpStream, inside: SocketAddr, mut cut: watch::Receiver<bool>) {
    if mended(&mut cut).await.is_err() {
        return;
    }
    // Nobody there: the client sees a connection that ends at once.
    let Ok(inside) = TcpStream::connect(inside).await else { return };
    let _ = (outside.set_nodelay(true), inside.set_nodelay(true));
    let (out_read, out_write) = outside.into_split();
    let (in_read, in_write) = inside.into_split();
    // An end on either side ends both, as it would without a proxy.
    tokio::select! {
        () = pump(out_read, in_write, cut.clone()) => {}
        () = pump(in_read, out_write, cut) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut cut: watch::Receiver<bool>,
) {
    let mut chunk = vec![0; 32 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut chunk).await else {
            // The news of an end does not pass a cut wire either.
            let _ = mended(&mut cut).await;
            return;
        };
        if mended(&mut cut).await.is_err() || to.write_all(&chunk[..count]).await.is_err() {
            return;
        }
    }
}

/// Returns while the wire is whole; an error when the proxy is gone.
async fn mended(cut: &mut watch::Receiver<bool>) -> Result<(), watch::error::RecvError> {
    cut.wait_for(|cut| !*cut).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cut_wire_passes_nothing_and_a_mended_one_everything() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inside = server.local_addr().unwrap().port();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let outside = free.local_addr().unwrap().port();
        drop(free);
        let proxy = Proxy::start(outside, inside).await.unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", outside)).await.unwrap();
        let (mut behind, _) = server.accept().await.unwrap();
        client.write_all(b"one").await.unwrap();
        let mut got = [0; 3];
        behind.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"one");
        proxy.cut(true);
        client.write_all(b"two").await.unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(200), behind.read_exact(&mut got)).await;
        assert!(silence.is_err(), "something passed a cut wire");
        proxy.cut(false);
        let passed = tokio::time::timeout(Duration::from_secs(20), behind.read_exact(&mut got)).await;
        passed.expect("it passes in time").unwrap();
        assert_eq!(&got, b"two");
    }
}
