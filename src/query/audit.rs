//! Checks and repairs the stored chain.

use super::reader::ReadError;
use crate::chain::params;
use crate::primitives::Network;
use crate::store::{
    Fault, HeaderStore, Repaired, SledStore, StoreError, VerifyReport, log_fault, repair,
    unreadable_fault, verify,
};
use std::path::Path;

/// Checks the stored headers of a network's folder again, from genesis up to the first fault. If there is none, also
/// checks the parity records that repairs need.
///
/// Calls `progress` with the height of the tip and each height reached. If the database is too damaged to be opened,
/// no header is checked, and the report has the reason as its fault.
///
/// # Errors
/// Nothing is stored, the folder is in use, or reading failed for a reason other than damage.
pub(crate) fn audit(
    folder: &Path,
    network: Network,
    mut progress: impl FnMut(u32, u32),
) -> Result<VerifyReport, ReadError> {
    let genesis = params(network).genesis;
    if !SledStore::exists(folder)? {
        return Err(ReadError::NothingStored { network, folder: folder.to_owned() });
    }
    let store = match SledStore::open_to_read_with_retry(folder, params(network)) {
        Ok(store) => store,
        Err(error) if error.is_damage() => {
            let fault = Some(opening_fault(&error));
            return Ok(VerifyReport {
                checked: 0,
                height: 0,
                hash: genesis.hash(),
                time: genesis.time,
                fault,
            });
        }
        Err(error) => return Err(error.into()),
    };
    let tip = store.tip().height;
    let mut report = verify(&store, params(network), |height| progress(tip, height))?;
    if report.fault.is_none() && store.damage().is_some() {
        report.fault = Some(log_fault(report.height.saturating_add(1)));
    }
    if report.fault.is_none() {
        report.fault = store.parity_fault()?;
    }
    Ok(report)
}

/// Returns the fault for a database that is too damaged to be opened.
fn opening_fault(error: &StoreError) -> Fault {
    match error {
        StoreError::Damaged { height, what } => Fault {
            height: *height,
            rule: "stored-record".to_owned(),
            expected: "records that agree".to_owned(),
            got: what.clone(),
        },
        _ => unreadable_fault(),
    }
}

/// Copies the good headers of a network's folder into a new database, which replaces the old one.
///
/// Calls `progress` with each height reached.
///
/// # Errors
/// As [`repair`].
pub(crate) fn repair_folder(
    folder: &Path,
    network: Network,
    progress: impl FnMut(u32),
) -> Result<Repaired, ReadError> {
    Ok(repair(folder, params(network), progress)?)
}
