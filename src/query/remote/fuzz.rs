//! The fuzzer's target: lines on the control socket.

use super::protocol::{ControlReply, ControlRequest};
use crate::chain::ChainTip;

pub(crate) fn fuzz_control(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<ControlRequest>(bytes) {
        let text = serde_json::to_string(&request).unwrap();
        assert!(!text.contains('\n'));
        assert_eq!(serde_json::from_str::<ControlRequest>(&text).unwrap(), request);
    }
    let Ok(reply) = serde_json::from_slice::<ControlReply>(bytes) else { return };
    let text = serde_json::to_string(&reply).unwrap();
    assert!(!text.contains('\n'));
    assert_eq!(serde_json::from_str::<ControlReply>(&text).unwrap(), reply);
    match reply {
        ControlReply::Run(run) => {
            if let Some(run) = run.decode() {
                assert_eq!(run.headers.len(), run.hashes.len());
            }
        }
        ControlReply::Located { at: Some(at) } => drop(at.decode()),
        ControlReply::Tip(tip) => drop(ChainTip::from(tip)),
        _ => {}
    }
}
