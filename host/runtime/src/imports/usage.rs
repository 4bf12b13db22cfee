//! `tollgate:metering/usage`: the cold half. Names become numbers; `commit` waits for the disk.

use wasmtime::component::{HasData, Linker};

use super::wit::usage::{self, Refusal};
use crate::guest::Guest;
use crate::meter::{Counters, Meter, Stopped, TagRefusal};

/// Borrowed for one call.
pub(crate) struct UsageView<'a> {
    pub(crate) meter: &'a Meter,
    pub(crate) counters: &'a Counters,
}

impl usage::Host for UsageView<'_> {
    fn dimension(&mut self, key: String) -> Result<u32, Refusal> {
        self.meter.dimension(&key).ok_or(Refusal::UnknownDimension)
    }

    fn tags(&mut self, pairs: Vec<(String, String)>) -> Result<u32, Refusal> {
        match self.counters.tags(pairs) {
            Ok(id) => Ok(id.0),
            Err(TagRefusal::Invalid) => Err(Refusal::InvalidTag),
            Err(TagRefusal::TooMany) => Err(Refusal::TooManyTags),
        }
    }

    async fn commit(&mut self) -> Result<(), Refusal> {
        self.counters.commit().await.map_err(|Stopped| Refusal::Stopped)
    }
}

struct Interface;

impl HasData for Interface {
    type Data<'a> = UsageView<'a>;
}

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    usage::add_to_linker::<_, Interface>(linker, |guest| UsageView { meter: &guest.meter, counters: &guest.counters })
}

#[cfg(test)]
mod tests {
    use super::usage::Host;
    use super::*;
    use crate::testing::{Keeper, meter};

    #[tokio::test]
    async fn names_become_numbers_and_mistakes_become_refusals() {
        let (meter, desk) = meter();
        let counters = meter.instance(0);
        let mut view = UsageView { meter: &meter, counters: &counters };
        let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
        assert_eq!(view.dimension("images".into()), Ok(0));
        assert_eq!(view.dimension("requests".into()), Err(Refusal::UnknownDimension), "the host counts it");
        assert_eq!(view.dimension("Images".into()), Err(Refusal::UnknownDimension));
        assert_eq!(view.tags(vec![pair("team", "a")]), Ok(1));
        assert_eq!(view.tags(vec![pair("team", "")]), Err(Refusal::InvalidTag));
        assert_eq!(view.tags(Vec::new()), Err(Refusal::InvalidTag));

        let keeper = Keeper::start(desk, 1);
        counters.add(0, 4);
        assert_eq!(view.commit().await, Ok(()));
        assert!(keeper.totals().starts_with("images 4,"));
    }

    #[tokio::test]
    async fn without_a_keeper_a_commit_is_refused() {
        let (meter, desk) = meter();
        let counters = meter.instance(0);
        counters.add(0, 1);
        drop(desk);
        let mut view = UsageView { meter: &meter, counters: &counters };
        assert_eq!(view.commit().await, Err(Refusal::Stopped));
    }
}
