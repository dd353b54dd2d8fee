//! Parts of the file that cannot be read while a change is made: the change succeeds or fails as a whole.

use super::mine::{copy_of, file, mine, regtest, regtest_database};
use crate::chain::Branch;
use crate::store::log::{SEGMENT, SEGMENT_HEAD};
use crate::store::{Change, HeaderStore, SledStore, verify};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use tempfile::tempdir;

/// Headers in the database before the change.
const BEFORE: u32 = 40_000;
/// Headers that the change adds: more than one segment of the log, so that sled writes a part before the change has
/// ended.
const ADDED: u32 = 20_000;

/// A segment of a database's log that is overwritten with zeros for a while, so that its nodes cannot be read.
struct Unreadable {
    file: File,
    offset: u64,
    content: Vec<u8>,
}

impl Unreadable {
    fn at(path: &Path, offset: u64) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let len = SEGMENT.min(file.metadata()?.len() - offset);
        let mut content = vec![0; usize::try_from(len).expect("small")];
        file.read_exact_at(&mut content, offset)?;
        file.write_all_at(&vec![0; content.len()], offset)?;
        Ok(Self { file, offset, content })
    }

    /// Gives the segment its content back, except where sled has written meanwhile.
    fn restore(mut self) -> io::Result<()> {
        let mut now = vec![0; self.content.len()];
        self.file.read_exact_at(&mut now, self.offset)?;
        if now[..SEGMENT_HEAD] != [0; SEGMENT_HEAD] {
            return Ok(());
        }
        let written = self.content.iter_mut().zip(&now).filter(|(_, now)| **now != 0);
        written.for_each(|(byte, now)| *byte = *now);
        self.file.write_all_at(&self.content, self.offset)
    }
}

#[test]
fn a_change_that_cannot_read_a_node_leaves_no_torn_batch() {
    let folder = tempdir().unwrap();
    regtest_database(folder.path(), BEFORE);
    let mut branch = Branch::genesis(regtest());
    mine(&mut branch, BEFORE, 0);
    let added = mine(&mut branch, ADDED, 0);
    let change = Change { append: Some(&added), ..Change::default() };
    let len = fs::metadata(file(folder.path(), "db")).unwrap().len();
    let mut failed_changes = 0;
    for offset in (0..len).step_by(usize::try_from(SEGMENT).unwrap()) {
        let copied = copy_of(folder.path());
        let segment = Unreadable::at(&file(copied.path(), "db"), offset).unwrap();
        let opened = SledStore::open(copied.path(), regtest());
        let was_opened = opened.is_ok();
        let result = opened.and_then(|store| store.commit(&change));
        failed_changes += u32::from(was_opened && result.is_err());
        segment.restore().unwrap();
        let what = format!("without the segment at {offset}: {result:?}");
        // A store that failed keeps its files open until the process ends.
        let copied = copy_of(copied.path());
        let store = SledStore::open(copied.path(), regtest()).expect(&what);
        let height = store.tip().height;
        // A change that failed only after it was complete may be there as a whole.
        let is_whole = height == BEFORE + ADDED || (height == BEFORE && result.is_err());
        assert!(is_whole, "{what}: height {height}");
        assert_eq!(verify(&store, regtest(), |_| ()).unwrap().fault, None, "{what}");
    }
    assert!(failed_changes > 0, "no change had to read anything");
}
