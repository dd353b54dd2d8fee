//! The process that holds the lock of a folder.

use chrono::DateTime;
use std::fmt;

/// The process that holds the lock of a folder, as its entry in the lock file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process ID.
    pub pid: u32,
    /// The command that the process runs, and its start in Unix seconds; `None` if the lock file does not name them.
    pub command: Option<(String, u64)>,
}

impl Holder {
    /// Parses the content of a lock file.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let pid = words.next()?.parse().ok()?;
        let command =
            words.next().map(str::to_owned).zip(words.next().and_then(|at| at.parse().ok()));
        Some(Self { pid, command })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((command, since)) = &self.command else {
            return write!(f, "process {}", self.pid);
        };
        write!(f, "`lightclient {command}` (process {}", self.pid)?;
        let since = i64::try_from(*since).ok().and_then(|unix| DateTime::from_timestamp(unix, 0));
        match since {
            Some(since) => write!(f, ", since {} UTC)", since.format("%Y-%m-%d %H:%M")),
            None => write!(f, ")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Holder;

    #[test]
    fn a_holder_is_named_by_command_and_time() {
        let holder = Holder::parse("123 sync 1231006505\n").unwrap();
        assert_eq!(
            holder.to_string(),
            "`lightclient sync` (process 123, since 2009-01-03 18:15 UTC)"
        );
        assert_eq!(Holder::parse("77\n").unwrap().to_string(), "process 77");
        assert_eq!(Holder::parse(""), None);
    }
}
