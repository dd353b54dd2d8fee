//! Runs the user's commands for new tips and reorganisations, as Bitcoin Core's `-blocknotify`.

use super::state::lock;
use crate::node::Event;
use crate::primitives::BlockHash;
use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::process::Command;
use tracing::{debug, warn};

/// How many commands may wait for the one that runs. If there are more, the oldest is dropped, so that the newest tip is
/// always told in the end.
const MAX_WAITING: usize = 1_000;

/// Runs the user's commands one after the other, in the order of what happens.
#[derive(Debug)]
pub(super) struct Notifier {
    block: Option<String>,
    reorg: Option<String>,
    /// The tip after a reorganisation, until its event has come. The headers of the new branch below it come first; they
    /// were never the tip.
    reorganised_to: Option<BlockHash>,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    running: bool,
    waiting: VecDeque<String>,
}

impl Notifier {
    /// Makes a notifier with the commands for a new tip and for a reorganisation.
    pub(super) fn new(block: Option<String>, reorg: Option<String>) -> Self {
        Self { block, reorg, reorganised_to: None, queue: Arc::default() }
    }

    /// Queues the command for an event, if there is one.
    pub(super) fn on_event(&mut self, event: &Event) {
        let Some(command) = self.command(event) else { return };
        let mut queue = lock(&self.queue);
        if queue.waiting.len() >= MAX_WAITING
            && let Some(dropped) = queue.waiting.pop_front()
        {
            warn!("{MAX_WAITING} commands wait for the one that runs: not run: {dropped}");
        }
        queue.waiting.push_back(command);
        if !std::mem::replace(&mut queue.running, true) {
            tokio::spawn(run_all(Arc::clone(&self.queue)));
        }
    }

    /// Returns the command for an event, with its hashes filled in. They need no quotes, since they are hex digits.
    fn command(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Tip { hash, .. } => {
                if self.reorganised_to.is_some_and(|tip| tip != *hash) {
                    return None;
                }
                self.reorganised_to = None;
                self.block.as_ref().map(|command| command.replace("%s", &hash.to_string()))
            }
            Event::Reorganisation { old_hash, hash, .. } => {
                self.reorganised_to = Some(*hash);
                self.reorg.as_ref().map(|command| {
                    command
                        .replace("%old", &old_hash.to_string())
                        .replace("%new", &hash.to_string())
                })
            }
            _ => None,
        }
    }
}

/// Runs the commands that wait, until there is none.
async fn run_all(queue: Arc<Mutex<Queue>>) {
    loop {
        let next = {
            let mut queue = lock(&queue);
            let next = queue.waiting.pop_front();
            queue.running = next.is_some();
            next
        };
        let Some(command) = next else { return };
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(&command).stdin(Stdio::null()).stdout(Stdio::null());
        match shell.status().await {
            Ok(status) if status.success() => debug!("done: {command}"),
            Ok(status) => warn!("{command}: {status}"),
            Err(error) => warn!("cannot run {command}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Notifier;
    use crate::node::Event;
    use crate::primitives::BlockHash;

    fn tip(hash: u8) -> Event {
        Event::Tip { height: 1, hash: BlockHash([hash; 32]), time: 0, from: None }
    }

    fn reorganisation(hash: u8) -> Event {
        let (old_hash, hash) = (BlockHash([1; 32]), BlockHash([hash; 32]));
        Event::Reorganisation { old_height: 1, old_hash, height: 2, hash, depth: 1 }
    }

    #[test]
    fn commands_get_the_hashes_of_tips() {
        let mut notifier =
            Notifier::new(Some("echo %s".to_owned()), Some("echo %old %new".to_owned()));
        assert_eq!(notifier.command(&tip(2)), Some(format!("echo {}", "02".repeat(32))));
        let expected = format!("echo {} {}", "01".repeat(32), "02".repeat(32));
        assert_eq!(notifier.command(&reorganisation(2)), Some(expected));
        assert_eq!(Notifier::new(None, None).command(&tip(2)), None);
        assert_eq!(notifier.command(&Event::Warning(String::new())), None);
    }

    #[test]
    fn headers_that_a_reorganisation_brings_below_its_tip_are_no_tips() {
        let mut notifier = Notifier::new(Some("%s".to_owned()), None);
        let events = [tip(1), reorganisation(4), tip(2), tip(3), tip(4), tip(5)];
        let commands: Vec<_> = events.iter().filter_map(|event| notifier.command(event)).collect();
        assert_eq!(commands, [1, 4, 5].map(|hash: u8| BlockHash([hash; 32]).to_string()));
    }

    #[tokio::test]
    async fn commands_run_in_order_and_the_newest_is_never_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (file, gate) = (folder.path().join("tips"), folder.path().join("gate"));
        let wait = format!("until [ -e {} ]; do sleep 0.01; done", gate.display());
        let mut notifier =
            Notifier::new(Some(format!("{wait}; echo %s >> {}", file.display())), None);
        let hash = |number: u32| {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&number.to_le_bytes());
            BlockHash(hash)
        };
        // Nothing else runs in between, so that all of them wait.
        let count = u32::try_from(super::MAX_WAITING).unwrap() + 5;
        for number in 0..count {
            let hash = hash(number);
            notifier.on_event(&Event::Tip { height: number, hash, time: 0, from: None });
        }
        super::lock(&notifier.queue).waiting.drain(..super::MAX_WAITING - 3);
        std::fs::write(&gate, "").unwrap();
        let expected: Vec<_> = (count - 3..count).map(|number| hash(number).to_string()).collect();
        let ended = async {
            while super::lock(&notifier.queue).running {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.unwrap();
        let told = std::fs::read_to_string(&file).unwrap();
        assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    }
}
