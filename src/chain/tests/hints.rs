//! Hints files.

use crate::chain::{Hints, HintsError};

const HASH: &str = "00000000693067b0e6b440bc51450b9f3850561b07f6d3c021c54fbd6abb9763";

#[test]
fn comments_and_empty_lines_are_skipped() {
    let hints = Hints::parse(&format!("# made by hand\n\n2015 {HASH}\n4031\t{HASH}\n")).unwrap();
    assert_eq!(hints.points().len(), 2);
    assert_eq!(hints.at_or_below(4030).unwrap().height, 2015);
    assert_eq!(hints.at_or_below(2014), None);
}

#[test]
fn a_bad_line_is_named() {
    let error = Hints::parse(&format!("2015 {HASH}\nnonsense")).unwrap_err();
    assert_eq!(error, HintsError::Syntax { line: 2, got: "nonsense".to_owned() });
    let error = Hints::parse(&format!("2015 {HASH}\n2015 {HASH}")).unwrap_err();
    assert_eq!(error, HintsError::Order { line: 2, previous: 2015, got: 2015 });
    assert!(matches!(Hints::parse("7 00"), Err(HintsError::Hash { line: 1, .. })));
}
