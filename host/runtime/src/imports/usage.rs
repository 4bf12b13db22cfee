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
