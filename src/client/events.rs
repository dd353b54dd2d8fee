//! What happens while a client runs.

use crate::node::{Live, Notice, Stopped};
use crate::primitives::BlockHash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

/// What happens while a client runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The sync has come further. Of several, only the last is given.
    Progress {
        /// Height of the stored tip.
        height: u32,
        /// The height that the chain is expected to have, by what peers announce, or by hints.
        estimated_height: u32,
        /// How many peers are connected.
        peers: usize,
    },
    /// The stored chain is complete as far as the peers know. It comes once.
    CaughtUp {
        /// Height of the tip.
        height: u32,
        /// Its hash.
        hash: BlockHash,
        /// Its time, in Unix seconds.
        time: u32,
    },
    /// The chain has a new tip: after [`Event::CaughtUp`], one for each new header.
    Tip {
        /// Height of the header.
        height: u32,
        /// Its hash.
        hash: BlockHash,
        /// Its time, in Unix seconds.
        time: u32,
        /// Where more than a hundred came at once: the first of them, of which this one is the last.
        from: Option<u32>,
    },
    /// A branch with more work took over.
    Reorganisation {
        /// Height of the old tip.
        old_height: u32,
        /// Hash of the old tip.
        old_hash: BlockHash,
        /// Height of the new tip.
        height: u32,
        /// Hash of the new tip.
        hash: BlockHash,
        /// How many headers of the old branch are no longer on the chain.
        depth: u32,
    },
    /// Something that the user should know, in words: a clock that differs, no peers, hints that do not fit.
    Warning(String),
    /// The sync has ended. Nothing follows.
    Stopped(Stopped),
    /// The sync could not go on, for this reason; [`Client::shutdown`](super::Client::shutdown) gives the error itself.
    /// Nothing follows.
    Failed(String),
}

impl From<Notice> for Event {
    fn from(notice: Notice) -> Self {
        match notice {
            Notice::Tip { height, hash, time, from } => Self::Tip { height, hash, time, from },
            Notice::CaughtUp { height, hash, time } => Self::CaughtUp { height, hash, time },
            Notice::Warning(text) => Self::Warning(text),
            Notice::Reorganised { old_height, old_hash, height, hash, depth } => {
                Self::Reorganisation { old_height, old_hash, height, hash, depth }
            }
        }
    }
}

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
    has_ended: bool,
}

impl Events {
    pub(super) fn new(subscribers: &Subscribers, live: watch::Receiver<Live>) -> Self {
        Self { receiver: subscribers.add(), live, has_ended: false }
    }

    /// The next event; `None` after the last one.
    pub async fn next(&mut self) -> Option<Event> {
        while !self.has_ended {
            tokio::select! {
                biased;
                Ok(()) = self.live.changed() => return Some(self.progress()),
                event = self.receiver.recv() => {
                    self.has_ended = event.is_none();
                    return event;
                }
            }
        }
        None
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
