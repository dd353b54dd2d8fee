//! Runs the user's commands for new tips and reorganisations, as Bitcoin Core does for `-blocknotify`.

use super::state::lock;
use crate::node::Event;
use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::process::Command;
use tracing::{debug, warn};

/// How many commands may wait for the one that runs. If there are more, the oldest is dropped, so that the command for
/// the newest tip always runs in the end.
const MAX_WAITING: usize = 1_000;

/// Runs the user's commands one after the other, in the order of the events.
#[derive(Debug)]
pub(super) struct Notifier {
    block: Option<String>,
    reorg: Option<String>,
    /// After a reorganisation: the height of the new tip, until an event reports a tip of at least this height. Events
    /// for the new branch's lower headers come first and run no command, because these headers were never the tip.
    reorganised_to: Option<u32>,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    running: bool,
    waiting: VecDeque<String>,
}

impl Notifier {
    /// Makes a notifier with the commands for a new tip and for a reorganisation, if there are any.
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
            warn!("{MAX_WAITING} commands are waiting: the oldest one is dropped: {dropped}");
        }
        queue.waiting.push_back(command);
        if !std::mem::replace(&mut queue.running, true) {
            tokio::spawn(run_all(Arc::clone(&self.queue)));
        }
    }

    /// Returns the command for an event, with its hashes filled in. Hashes need no quotes, since they are hex digits.
    fn command(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Tip { height, hash, .. } => {
                if self.reorganised_to.is_some_and(|tip| *height < tip) {
                    return None;
                }
                self.reorganised_to = None;
                self.block.as_ref().map(|command| command.replace("%s", &hash.to_string()))
            }
            Event::Reorganisation { old_hash, height, hash, .. } => {
                self.reorganised_to = Some(*height);
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

/// Runs the waiting commands until none is left.
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

    /// Returns the event for a tip whose hash repeats its height in each byte.
    fn tip(height: u8) -> Event {
        let hash = BlockHash([height; 32]);
        Event::Tip { height: u32::from(height), hash, time: 0, from: None }
    }

    fn reorganisation(height: u8) -> Event {
        let (old_hash, hash) = (BlockHash([1; 32]), BlockHash([height; 32]));
        let height = u32::from(height);
        Event::Reorganisation { old_height: 1, old_hash, height, hash, depth: 1 }
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
    fn headers_below_the_tip_of_a_reorganisation_run_no_command() {
        let mut notifier = Notifier::new(Some("%s".to_owned()), None);
        let events = [tip(1), reorganisation(4), tip(2), tip(3), tip(4), tip(5)];
        let commands: Vec<_> = events.iter().filter_map(|event| notifier.command(event)).collect();
        assert_eq!(commands, [1, 4, 5].map(|hash: u8| BlockHash([hash; 32]).to_string()));
    }

    #[test]
    fn a_reorganisation_whose_tip_is_not_published_does_not_silence_later_tips() {
        let mut notifier = Notifier::new(Some("%s".to_owned()), None);
        let events = [reorganisation(4), tip(5), tip(6)];
        assert_eq!(events.iter().filter_map(|event| notifier.command(event)).count(), 2);
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
        // No other task runs during this loop, so that all commands wait.
        let count = u32::try_from(super::MAX_WAITING).unwrap() + 5;
        for number in 0..count {
            let hash = hash(number);
            notifier.on_event(&Event::Tip { height: number, hash, time: 0, from: None });
        }
        // The test runs only the last three of them.
        super::lock(&notifier.queue).waiting.drain(..super::MAX_WAITING - 3);
        std::fs::write(&gate, "").unwrap();
        let expected: Vec<_> = (count - 3..count).map(|number| hash(number).to_string()).collect();
        let ended = async {
            while super::lock(&notifier.queue).running {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.unwrap();
        let written = std::fs::read_to_string(&file).unwrap();
        assert_eq!(written.lines().collect::<Vec<_>>(), expected);
    }
}
