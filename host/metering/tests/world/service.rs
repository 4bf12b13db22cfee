//! AWS, as far as it is known: one record for each identity, dimension and hour.

use std::collections::BTreeMap;

use tollgate_metering::Request;

/// What happens to a request on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    Answered,
    AnswerLost,
    RequestLost,
    Throttled,
    TagsRefused,
    Refused,
}

/// AWS: one quantity for each identity, dimension and hour.
#[derive(Default)]
pub(crate) struct Service {
    held: BTreeMap<(String, String, u64), (u32, String)>,
    pub(crate) billed: u128,
}

impl Service {
    /// What the host hears. Panics where a correct host never gets.
    pub(crate) fn meter(
        &mut self,
        identity: String,
        slot: &str,
        request: &Request,
        per: u64,
        fate: Fate,
    ) -> &'static str {
        let dimension = slot.split('@').next().unwrap_or_default();
        let key = (identity, dimension.to_owned(), request.timestamp / 3_600);
        let known = self.held.get(&key);
        if let Some((quantity, token)) = known {
            assert_eq!(
                (*quantity, token),
                (request.quantity, &request.token),
                "another record for the hour of {key:?}"
            );
        }
        match fate {
            Fate::RequestLost => return "timeout",
            Fate::Throttled => return "throttled",
            Fate::TagsRefused if known.is_none() => return "bad-tags",
            Fate::Refused if known.is_none() => return "refused X",
            _ => {}
        }
        if known.is_none() {
            self.billed += u128::from(request.quantity) * u128::from(per);
            self.held.insert(key, (request.quantity, request.token.clone()));
        }
        if fate == Fate::AnswerLost { "timeout" } else { "accepted R" }
    }
}
