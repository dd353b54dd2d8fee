//! The files beside the log: sled's settings, its snapshots, and blob files, which hold the message bodies that are
//! larger than a quarter of a segment.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The text that sled 0.34 writes into `conf` with this program's settings. A checksum follows it in the file.
const SETTINGS: &[u8] = b"segment_size: 524288\nuse_compression: false\nversion: 0.34\n";
/// The prefix that hides an unusable snapshot from sled.
const UNUSABLE_PREFIX: &str = "unusable-";
const UNFINISHED: &str = ".generating";

fn names(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = fs::read_dir(folder)?.map(|entry| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()))
    });
    entries.collect()
}

/// Returns the snapshots whose names say that they are complete.
pub(super) fn snapshots(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let names = names(folder)?.into_iter();
    let whole = names.filter(|(name, _)| name.starts_with("snap.") && !name.ends_with(UNFINISHED));
    Ok(whole.map(|(_, path)| path).collect())
}

/// Removes snapshots that a process was writing when it ended: sled would take them for complete ones.
pub(in crate::store) fn remove_unfinished_snapshots(folder: &Path) -> io::Result<()> {
    for (name, path) in names(folder)? {
        if name.starts_with("snap.") && name.ends_with(UNFINISHED) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Hides the snapshots from sled, so that it reads the log itself; returns whether there were any.
pub(in crate::store) fn set_snapshots_aside(folder: &Path) -> io::Result<bool> {
    let snapshots = snapshots(folder)?;
    for path in &snapshots {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        fs::rename(path, folder.join(format!("{UNUSABLE_PREFIX}{name}")))?;
    }
    Ok(!snapshots.is_empty())
}

/// Makes all blob files durable that are not in `synced` yet, and then sets `synced` to all blob files.
///
/// sled writes each blob file once, and never syncs it. A file that sled has removed meanwhile is no longer needed.
pub(in crate::store) fn sync_blobs(
    folder: &Path,
    synced: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    let blobs = folder.join("blobs");
    let paths = match names(&blobs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names?.into_iter().map(|(_, path)| path).collect::<BTreeSet<_>>(),
    };
    let mut is_new = false;
    for path in paths.difference(synced) {
        match File::open(path).and_then(|file| file.sync_all()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result.map(|()| is_new = true)?,
        }
    }
    if is_new {
        File::open(&blobs)?.sync_all()?;
    }
    *synced = paths;
    Ok(())
}

/// Rewrites sled's settings if they are damaged or missing. Their content is known, since it is always the same.
pub(in crate::store) fn repair_settings(folder: &Path) -> io::Result<()> {
    let path = folder.join("conf");
    let mut right = SETTINGS.to_vec();
    right.extend_from_slice(&crc32fast::hash(SETTINGS).to_le_bytes());
    match fs::read(&path) {
        Ok(bytes) if bytes == right || is_of_another_version(&bytes) => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let new = folder.join("conf.new");
    fs::write(&new, right)?;
    File::open(&new)?.sync_all()?;
    fs::rename(new, path)
}

/// Returns whether these settings, which differ from ours, match their checksum. If they do, another version of sled
/// wrote them, and sled itself reports this.
fn is_of_another_version(bytes: &[u8]) -> bool {
    let parts = bytes.split_last_chunk::<4>();
    parts.is_some_and(|(text, crc)| crc32fast::hash(text) == u32::from_le_bytes(*crc))
}
