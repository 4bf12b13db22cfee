//! A tag set as the tables of the ledger hold it: any text is exactly one set, or none.
//!
//! True: it is one.

use tollgate_metering::Tags;

pub(crate) fn run(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some(tags) = Tags::from_text(text) else { return false };
    assert_eq!(tags.to_text(), text, "two texts for one set would be two buckets");
    assert_eq!(Tags::new(tags.pairs().to_vec()), tags, "in canonical order");
    true
}
