//! The events of a running client.

use crate::node::{Event, Live};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

/// The senders to all receivers of a client's events; `None` once the channels are closed.
#[derive(Clone, Debug)]
pub(super) struct Subscribers(Arc<Mutex<Option<Vec<UnboundedSender<Event>>>>>);

impl Subscribers {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Vec::new()))))
    }

    /// Sends an event to all receivers, and forgets those that were dropped.
    pub(super) fn publish(&self, event: &Event) {
        if let Some(senders) = &mut *self.senders() {
            senders.retain(|sender| sender.send(event.clone()).is_ok());
        }
    }

    /// Closes all channels. Each receiver still gets the events that it has not taken yet.
    pub(super) fn close(&self) {
        *self.senders() = None;
    }

    fn add(&self) -> UnboundedReceiver<Event> {
        let (sender, receiver) = unbounded_channel();
        if let Some(senders) = &mut *self.senders() {
            senders.push(sender);
        }
        receiver
    }

    fn senders(&self) -> MutexGuard<'_, Option<Vec<UnboundedSender<Event>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's events.
///
/// Events wait until they are taken, in order. The exception is [`Event::Progress`]: only the newest is kept, and it
/// comes before all events that wait.
#[derive(Debug)]
pub struct Events {
    receiver: UnboundedReceiver<Event>,
    live: watch::Receiver<Live>,
}

impl Events {
    pub(super) fn new(subscribers: &Subscribers, live: watch::Receiver<Live>) -> Self {
        Self { receiver: subscribers.add(), live }
    }

    /// Returns the next event, or `None` after the last one.
    pub async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            biased;
            Ok(()) = self.live.changed() => Some(self.progress()),
            event = self.receiver.recv() => event,
        }
    }

    /// Waits for the next event that is not [`Event::Progress`]. Returns it, or `None` after the last one.
    #[cfg(feature = "cli")]
    pub(crate) fn wait_without_progress(&mut self) -> Option<Event> {
        self.receiver.blocking_recv()
    }

    /// Waits for the next event. Returns it, or `None` after the last one.
    ///
    /// This method blocks the thread. In async code, use [`Events::next`] instead.
    pub fn wait(&mut self) -> Option<Event> {
        pollster::block_on(self.next())
    }

    fn progress(&mut self) -> Event {
        let live = self.live.borrow_and_update();
        Event::Progress {
            height: live.height,
            estimated_height: live.estimated_height,
            peers: live.peers,
        }
    }
}
