//! An entry of the ledger: any text is exactly one record, or none.
//!
//! True: it is one.

use tollgate_metering::Record;

pub(crate) fn run(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(record) = Record::from_text(text) else { return false };
    assert_eq!(record.to_text(), text, "two texts for one record would be two hashes");
    true
}
