//! Hours that the ledger has forgotten, with their receipts, for whoever compares a month with AWS's report.
//!
//! The engine never reads them: a start does not have to, however many there are. They are a chain of their own, and
//! their sums have to be those that the ledger keeps.

use std::collections::BTreeMap;

use tollgate_metering::{Balance, Ledger, Life, Record, Slot, SlotId, Tags};

use super::chain::Link;

/// A row of table `archive`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRow {
    /// Its number.
    pub seq: i64,
    /// Hours since 1970.
    pub hour: i64,
    /// The hour as an entry `kept`, without its split by tags.
    pub text: String,
    /// The hash over the row before, the number and the text.
    pub hash: Vec<u8>,
}

/// Table `archive_chain`, and the number of the newest row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive {
    /// The number of the oldest row.
    pub first: u64,
    /// The hash before it.
    pub before: [u8; 32],
    /// True if all that the ledger has ever forgotten is there.
    pub whole: bool,
    /// The number of the newest row; one less than `first` if there is none.
    pub last: u64,
}

/// Reads the next rows after a number; none if there are no more. An archive can be too long to be read at once.
pub type Pages<'a> = dyn FnMut(u64) -> Result<Vec<ArchiveRow>, String> + 'a;

impl Archive {
    /// Calls `each` with every row, oldest first.
    ///
    /// # Errors
    /// The rows cannot be read, or `each` says so.
    pub fn each(
        &self,
        pages: &mut Pages<'_>,
        mut each: impl FnMut(&ArchiveRow) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut after = self.first.saturating_sub(1);
        while after < self.last {
            let page = pages(after)?;
            let Some(last) = page.last().and_then(|row| u64::try_from(row.seq).ok()) else { break };
            page.iter().try_for_each(&mut each)?;
            after = last.max(after + 1);
        }
        Ok(())
    }

    /// Checks the chain, and the sums against those that the ledger keeps of what it has forgotten.
    pub(super) fn check(&self, pages: &mut Pages<'_>, ledger: &Ledger) -> Result<(), String> {
        if self.whole != (self.first == 1 && self.before == [0; 32]) {
            return Err("table archive_chain, whole: does not fit where the archive begins".to_owned());
        }
        let (mut seq, mut link) = (self.first.saturating_sub(1), Link(self.before));
        let mut sums: BTreeMap<(String, String), Balance> = BTreeMap::new();
        self.each(pages, |row| {
            if seq >= self.last {
                // Forgotten since the ledger was read.
                return Ok(());
            }
            seq += 1;
            link = link.next(seq, &row.text);
            let wrong = |what: &str| Err(format!("table archive, seq {seq}: {what}"));
            if u64::try_from(row.seq) != Ok(seq) {
                return wrong("is missing");
            }
            if row.hash != link.0 {
                return wrong("its hash does not fit; it or what is before it was changed");
            }
            let (id, slot) = match kept(&row.text) {
                Ok(kept) => kept,
                Err(what) => return wrong(&what),
            };
            if i64::from(id.hour.0) != row.hour {
                return wrong(&format!("is under the hour {} and about the hour {}", row.hour, id.hour));
            }
            sums.entry((id.listing, id.dimension)).or_default().add(&Balance::of(&slot));
            Ok(())
        })?;
        if seq < self.last {
            return Err(format!("table archive, seq {}: is missing", seq + 1));
        }
        self.check_sums(&sums, ledger)
    }

    fn check_sums(&self, sums: &BTreeMap<(String, String), Balance>, ledger: &Ledger) -> Result<(), String> {
        let past = ledger.forgotten();
        let differs = |key: &(String, String)| {
            let (kept, sum) = (past.get(key).copied().unwrap_or_default(), sums.get(key).copied().unwrap_or_default());
            if self.whole { sum != kept } else { sum.recorded > kept.recorded || sum.acked > kept.acked }
        };
        match past.keys().chain(sums.keys()).find(|key| differs(key)) {
            Some((listing, dimension)) => Err(format!(
                "table archive: its rows of {dimension} under {listing} differ from the sums of forgotten hours in the checkpoint"
            )),
            None => Ok(()),
        }
    }
}

fn kept(text: &str) -> Result<(SlotId, Slot), String> {
    match Record::from_text(text) {
        Ok(Record::Kept { slot, mut state }) => {
            if state.life == Life::Counted {
                // The entry leaves open units to the sums of usage, which are gone.
                let came = [state.carried_in, state.adopted].into_iter().fold(state.recorded, u64::saturating_add);
                let went = [state.carried_out, state.handed_over, state.beyond];
                state.open.add(&Tags::NONE, went.into_iter().fold(came, u64::saturating_sub));
            }
            Ok((slot, *state))
        }
        Ok(_) => Err("is not an archived hour".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
