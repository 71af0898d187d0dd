//! Full syncs: one walk through the keyspace feeds all replicas that asked before it had gone too
//! far, slice by slice between commands.

use super::image::{Image, MARK_BYTES};
use super::replica::{Phase, Replica, WithoutKeys};
use super::{IMAGE_PERIOD, Role, Settings};
use crate::rdb::{ImageWriter, Manner};
use crate::server::{Level, Server};
use crate::session::SessionId;
use crate::stdx::time::Now;
use crate::store::SnapshotSink;
use bytes::Bytes;
use std::any::Any;

/// Entries written per slice; a slice holds the engine for well under a millisecond.
const SLICE_ENTRIES: usize = 512;
/// Slices per turn.
const SLICES: usize = 2;

impl Server {
    /// Begins, feeds and ends the image as far as its readers want it.
    pub(in crate::server) fn pump_image(&mut self, now: Now) {
        if self.replication.image.is_none() && !self.replication.replicas.is_any_waiting() {
            return;
        }
        if now.mono < self.replication.next_image {
            return;
        }
        self.replication.next_image = now.mono + IMAGE_PERIOD;
        if self.admin.snapshot.is_ending() {
            // Nobody would be there to finish it.
            return;
        }
        self.join_or_begin_image(now);
        let Some(mut image) = self.replication.image.take() else { return };
        for _ in 0..SLICES {
            let whole = self.replication.replicas.is_whole_image_needed();
            if !image.is_hungry(whole) {
                break;
            }
            self.walk_on(&mut image);
        }
        let limit = self.replication.settings.limit;
        if image.is_beyond_whole() {
            self.replication.replicas.close_where(|replica| {
                matches!(replica.phase, Phase::Image { next_chunk: 0 }) && !replica.takes_eof_mark
            });
        }
        self.replication.replicas.serve_image(&mut image, &limit);
        let wanted = self.replication.replicas.is_any_reading_image();
        if wanted {
            self.replication.image = Some(image);
        } else if !image.is_complete() {
            self.replication.image = Some(image);
            self.abandon_image();
            self.log(Level::Warning, "full sync given up: nobody is left who reads it");
        } else {
            self.log(Level::Info, "full sync: the image is sent");
        }
    }

    fn join_or_begin_image(&mut self, now: Now) {
        if !self.replication.replicas.is_any_waiting() {
            return;
        }
        let Settings { sync_delay, sync_replicas_max, .. } = self.replication.settings;
        if !self.replication.replicas.have_gathered(now.mono, sync_delay, sync_replicas_max) {
            return;
        }
        // Bytes already made belong in front of the image's offset, not behind it.
        self.replication.flush(now);
        let limit = self.replication.settings.limit;
        match &self.replication.image {
            // Who joins later than the walk began would also need the stream since then.
            Some(_) => {}
            None if self.keyspace.is_snapshot_running() => {}
            None => {
                let position = self.replication.position();
                let writer =
                    ImageWriter::new(self.sync_manner(), position.as_ref(), now.wall.as_millis() / 1000);
                let writer = self.image_with_functions(writer);
                self.keyspace.begin_snapshot(Box::new(writer));
                let mark = self.image_mark();
                let stream = &mut self.replication.stream;
                if matches!(self.replication.role, Role::Master) {
                    stream.forget_selected();
                }
                let announce = format!("+FULLRESYNC {} {}\r\n", stream.replid(), stream.offset());
                self.replication.image = Some(Image::new(stream.offset(), mark));
                self.replication.replicas.join_image(&Bytes::from(announce), &limit);
                self.log(
                    Level::Info,
                    format!("full sync begins at offset {}", self.replication.stream.offset()),
                );
            }
        }
    }

    /// Strings go as they are: packing them would hold up clients for most of the time that a sync takes, and
    /// a network between servers is faster than a compressor.
    fn sync_manner(&self) -> Manner {
        Manner { compress: false, ..self.image_manner() }
    }

    /// Bytes that end an image, which nothing in it can be.
    fn image_mark(&mut self) -> [u8; MARK_BYTES] {
        std::array::from_fn(|_| b"0123456789abcdef"[self.rng.usize(0..16)])
    }

    /// An image that holds no keys needs no walk: those that want one get it at once.
    pub(super) fn serve_image_without_keys(&mut self, session: SessionId, holds: WithoutKeys, now: Now) {
        let position = self.replication.position();
        let writer = ImageWriter::new(self.sync_manner(), position.as_ref(), now.wall.as_millis() / 1000);
        let mut writer = match holds {
            WithoutKeys::Functions => self.image_with_functions(writer),
            WithoutKeys::Nothing => writer,
        };
        let mut image = Image::new(self.replication.stream.offset(), self.image_mark());
        image.push(writer.drain());
        image.push(writer.finish());
        image.finish();
        let limit = self.replication.settings.limit;
        if let Some(replica) = self.replication.replicas.get_mut(session) {
            if !replica.is_of_old {
                let stream = &self.replication.stream;
                let announce = format!("+FULLRESYNC {} {}\r\n", stream.replid(), stream.offset());
                replica.send(announce.into(), &limit);
            }
            replica.phase = Phase::Image { next_chunk: 0 };
            image.serve(replica, &limit);
        }
    }

    fn walk_on(&mut self, image: &mut Image) {
        let done = self.keyspace.step_snapshot(SLICE_ENTRIES);
        let sink = self.keyspace.snapshot_sink().map(|sink| sink as &mut dyn Any);
        if let Some(writer) = sink.and_then(|sink| sink.downcast_mut::<ImageWriter>()) {
            image.push(writer.drain());
        }
        if done {
            let sink: Option<Box<dyn Any>> =
                self.keyspace.take_snapshot_sink().map(|sink: Box<dyn SnapshotSink>| sink as Box<dyn Any>);
            if let Some(writer) = sink.and_then(|sink| sink.downcast::<ImageWriter>().ok()) {
                image.push(writer.finish());
            }
            image.finish();
        }
    }

    /// Ends an image whose data or readers are gone.
    pub(in crate::server) fn abandon_image(&mut self) {
        if let Some(image) = self.replication.image.take()
            && !image.is_complete()
        {
            self.keyspace.take_snapshot_sink();
        }
        self.replication
            .replicas
            .close_where(|replica: &Replica| matches!(replica.phase, Phase::Image { .. }));
    }
}
