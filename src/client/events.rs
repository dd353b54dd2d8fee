//! What happens while a client runs.

use crate::node::{Event, Live};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

/// Those who want to know; none once the sync has ended.
#[derive(Clone, Debug)]
pub(super) struct Subscribers(Arc<Mutex<Option<Vec<UnboundedSender<Event>>>>>);

impl Subscribers {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Vec::new()))))
    }

    pub(super) fn publish(&self, event: &Event) {
        if let Some(senders) = &mut *self.senders() {
            senders.retain(|sender| sender.send(event.clone()).is_ok());
        }
    }

    /// Nothing follows.
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

/// A client's events, in their order.
///
/// What is not taken in time is kept, but for [`Event::Progress`]: a block every ten minutes takes little memory.
#[derive(Debug)]
pub struct Events {
    receiver: UnboundedReceiver<Event>,
    live: watch::Receiver<Live>,
}

impl Events {
    pub(super) fn new(subscribers: &Subscribers, live: watch::Receiver<Live>) -> Self {
        Self { receiver: subscribers.add(), live }
    }

    /// The next event; `None` after the last one.
    pub async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            biased;
            Ok(()) = self.live.changed() => Some(self.progress()),
            event = self.receiver.recv() => event,
        }
    }

    /// Waits for the next event but [`Event::Progress`].
    #[cfg(feature = "cli")]
    pub(crate) fn wait_for_news(&mut self) -> Option<Event> {
        self.receiver.blocking_recv()
    }

    /// Waits for the next event; `None` after the last one.
    ///
    /// It blocks the thread: in an async function, [`Events::next`] is to be used.
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
