//! The name of a message, as in the message's head.

use std::fmt;

/// Length in bytes of a command on the wire, padding included.
pub const COMMAND_LEN: usize = 12;

/// A message's name: up to twelve printable ASCII characters, padded with zeros on the wire.
///
/// Source: Bitcoin Core `CMessageHeader::IsMessageTypeValid`. An empty name is valid there and here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Command([u8; COMMAND_LEN]);

macro_rules! commands {
    ($($name:ident = $text:literal;)*) => {
        /// The commands that have a constant here, in alphabetical order.
        pub const ALL: &[Self] = &[$(Self::$name),*];

        $(
            #[doc = concat!("`", $text, "`")]
            pub const $name: Self = Self::new($text);
        )*
    };
}

impl Command {
    commands! {
        ADDR = "addr";
        ADDRV2 = "addrv2";
        BLOCK = "block";
        FEEFILTER = "feefilter";
        GETADDR = "getaddr";
        GETDATA = "getdata";
        GETHEADERS = "getheaders";
        HEADERS = "headers";
        INV = "inv";
        MERKLEBLOCK = "merkleblock";
        NOTFOUND = "notfound";
        PING = "ping";
        PONG = "pong";
        REJECT = "reject";
        SENDADDRV2 = "sendaddrv2";
        SENDCMPCT = "sendcmpct";
        SENDHEADERS = "sendheaders";
        TX = "tx";
        VERACK = "verack";
        VERSION = "version";
        WTXIDRELAY = "wtxidrelay";
    }

    /// Returns the command of that name, for names that are known when the program is built.
    ///
    /// # Panics
    /// If the name is longer than twelve bytes or not printable ASCII; in a constant, the build fails.
    pub const fn new(name: &str) -> Self {
        let name = name.as_bytes();
        assert!(name.len() <= COMMAND_LEN, "a command has at most twelve characters");
        let mut bytes = [0; COMMAND_LEN];
        let mut at = 0;
        while at < name.len() {
            assert!(is_printable(name[at]), "a command is printable ASCII");
            bytes[at] = name[at];
            at += 1;
        }
        Self(bytes)
    }

    /// Returns the command of twelve bytes from the wire, or `None` if they are not printable ASCII followed by zeros
    /// only.
    pub fn from_bytes(bytes: [u8; COMMAND_LEN]) -> Option<Self> {
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(COMMAND_LEN);
        let (name, padding) = bytes.split_at(length);
        let valid = name.iter().all(|byte| is_printable(*byte)) && padding.iter().all(|b| *b == 0);
        valid.then_some(Self(bytes))
    }

    /// Returns the twelve bytes for the wire.
    pub fn to_bytes(self) -> [u8; COMMAND_LEN] {
        self.0
    }

    /// Returns the name without its padding.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(COMMAND_LEN);
        std::str::from_utf8(&self.0[..length]).expect("both constructors take ASCII only")
    }
}

const fn is_printable(byte: u8) -> bool {
    byte >= b' ' && byte <= b'~'
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Command;

    #[test]
    fn a_command_is_printable_ascii_then_zeros() {
        let command = Command::from_bytes(*b"verack\0\0\0\0\0\0").unwrap();
        assert_eq!(command, Command::VERACK);
        assert_eq!(command.as_str(), "verack");
        assert_eq!(Command::from_bytes(*b"twelve chars").unwrap().as_str(), "twelve chars");
        assert!(Command::from_bytes(*b"verack\0x\0\0\0\0").is_none());
        assert!(Command::from_bytes(*b"ver\nck\0\0\0\0\0\0").is_none());
        assert!(Command::from_bytes(*b"ver\xffck\0\0\0\0\0\0").is_none());
    }
}
