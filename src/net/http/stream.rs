//! `/events`: the snapshot by server-sent events, when it changed and not more often than a reader
//! can follow. `?view=page` sends what the status page shows instead.

use super::snapshots::{Form, Snapshots};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

/// Readers at once; the others are told to come back.
pub(super) const STREAMS_MAX: usize = 64;
/// Without a change, the page still hears that we are there.
const PULSE: Duration = Duration::from_secs(2);

pub(super) fn answer(
    snapshots: Arc<Snapshots>,
    form: Form,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
) -> Response {
    // One event waits at most: a slow reader misses snapshots instead of hoarding them.
    let (events, queue) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = feed(&snapshots, form, &events) => {}
            () = events.closed() => {}
        }
        drop(place);
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(10));
    Sse::new(ReceiverStream::new(queue)).keep_alive(keep_alive).into_response()
}

async fn feed(snapshots: &Snapshots, form: Form, events: &mpsc::Sender<Result<Event, Infallible>>) {
    let (name, pace) = match form {
        Form::Json => ("status", Duration::from_millis(200)),
        Form::PageTree => ("page", Duration::from_millis(400)),
    };
    let mut changes = snapshots.changes();
    let mut sent: Option<Arc<str>> = None;
    loop {
        changes.mark_unchanged();
        let text = snapshots.text(form);
        let event = if sent.as_ref() == Some(&text) {
            Event::default().event("pulse").data("{}")
        } else {
            Event::default().event(name).data(&*text)
        };
        sent = Some(text);
        if events.send(Ok(event)).await.is_err() {
            return;
        }
        tokio::time::sleep(pace).await;
        // The pause ends too, because a snapshot that nothing follows grows stale.
        if let Ok(Err(_)) = tokio::time::timeout(PULSE, changes.changed()).await {
            return;
        }
    }
}
