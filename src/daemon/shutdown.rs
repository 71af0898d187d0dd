//! The wish to stop: SIGTERM or SIGINT, once politely; a second one ends the process at once.
//!
//! Must be made inside a tokio runtime. Has never heard of what is being stopped.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Cheap to clone; every clone hears the same wish.
#[derive(Clone, Debug)]
pub struct Shutdown {
    wish: watch::Receiver<Option<&'static str>>,
}

impl Shutdown {
    /// Listens for SIGTERM and SIGINT from now on; SIGHUP is ignored, for nothing is re-read.
    pub fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let (sender, wish) = watch::channel(None);
        tokio::spawn(async move {
            let name = first(&mut terminate, &mut interrupt, &mut hangup).await;
            let _ = sender.send(Some(name));
            let again = first(&mut terminate, &mut interrupt, &mut hangup).await;
            // The conventional status of a process that a signal ended.
            std::process::exit(if again == "SIGTERM" { 143 } else { 130 });
        });
        Ok(Shutdown { wish })
    }

    /// For tests, and for programs that hold a daemon: the wish comes when `true` is sent by hand.
    pub fn by_hand() -> (watch::Sender<Option<&'static str>>, Self) {
        let (sender, wish) = watch::channel(None);
        (sender, Shutdown { wish })
    }

    /// Returns the signal's name when the process was asked to stop.
    pub async fn requested(&mut self) -> &'static str {
        let told = self.wish.wait_for(Option::is_some).await.map(|name| name.unwrap_or("stop")).ok();
        match told {
            Some(name) => name,
            // The sender is gone: nobody can ask any more.
            None => std::future::pending().await,
        }
    }

    pub fn is_requested(&self) -> bool {
        self.wish.borrow().is_some()
    }
}

async fn first(terminate: &mut Signal, interrupt: &mut Signal, hangup: &mut Signal) -> &'static str {
    loop {
        tokio::select! {
            _ = terminate.recv() => return "SIGTERM",
            _ = interrupt.recv() => return "SIGINT",
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_hears_the_wish() {
        let (sender, mut first) = Shutdown::by_hand();
        let mut second = first.clone();
        assert!(!first.is_requested());
        sender.send(Some("SIGTERM")).unwrap();
        assert_eq!(first.requested().await, "SIGTERM");
        assert_eq!(second.requested().await, "SIGTERM");
    }
}
