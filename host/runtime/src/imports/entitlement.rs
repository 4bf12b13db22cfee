//! `tollgate:metering/entitlement`: what was granted, and how delivery goes.

use wasmtime::component::{HasData, Linker};

use super::wit::entitlement::{self, AttestRefusal, Granted, Pricing, Stand, State};
use crate::guest::Guest;
use crate::meter::{self, Meter};

/// Borrowed for one call.
pub(crate) struct EntitlementView<'a> {
    pub(crate) meter: &'a Meter,
}

impl entitlement::Host for EntitlementView<'_> {
    fn grant(&mut self) -> Granted {
        let granted = self.meter.granted();
        let pricing = match granted.pricing {
            meter::Pricing::Hourly => Pricing::Hourly,
            meter::Pricing::Monthly => Pricing::Monthly,
            meter::Pricing::Custom => Pricing::Custom,
            meter::Pricing::Free => Pricing::Free,
            meter::Pricing::Byol => Pricing::Byol,
            meter::Pricing::Saas => Pricing::Saas,
        };
        Granted {
            product: granted.product.clone(),
            listing: granted.listing.clone(),
            pricing,
            since: rfc3339(granted.since),
        }
    }

    fn standing(&mut self) -> Stand {
        let standing = self.meter.standing();
        let state = match standing.state {
            meter::State::Good => State::Good,
            meter::State::Late => State::Late,
            meter::State::Stopping => State::Stopping,
        };
        Stand { state, since: rfc3339(standing.since) }
    }

    async fn attest(&mut self, nonce: String) -> Result<String, AttestRefusal> {
        self.meter.attest(nonce).await.map_err(|refusal| match refusal {
            meter::AttestRefusal::NotThisPricing => AttestRefusal::NotThisPricing,
            meter::AttestRefusal::TooOften => AttestRefusal::TooOften,
            meter::AttestRefusal::NoAnswer => AttestRefusal::NoAnswer,
            meter::AttestRefusal::InvalidNonce => AttestRefusal::InvalidNonce,
        })
    }
}

struct Interface;

impl HasData for Interface {
    type Data<'a> = EntitlementView<'a>;
}

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    entitlement::add_to_linker::<_, Interface>(linker, |guest| EntitlementView { meter: &guest.meter })
}

/// Seconds of Unix time as RFC 3339 in UTC. The civil calendar from days, counting years from March so that the leap
/// day is the last of its year.
fn rfc3339(unix: u64) -> String {
    let (days, second) = (unix / 86_400, unix % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::entitlement::Host;
    use super::*;
    use crate::meter::{Standing, open};

    fn granted(pricing: meter::Pricing) -> meter::Granted {
        meter::Granted { product: "thumbnails".into(), listing: "paid".into(), pricing, since: 86_400 }
    }

    #[tokio::test]
    async fn a_guest_sees_what_was_granted_and_how_it_stands() {
        let (meter, desk) = open(Vec::new(), granted(meter::Pricing::Custom));
        let mut view = EntitlementView { meter: &meter };
        let Granted { product, listing, pricing, since } = view.grant();
        assert_eq!(
            (product.as_str(), listing.as_str(), since.as_str()),
            ("thumbnails", "paid", "1970-01-02T00:00:00Z")
        );
        assert_eq!(pricing, Pricing::Custom);
        assert_eq!(view.standing().state, State::Good);
        desk.set_standing(Standing { state: meter::State::Late, since: 0 });
        assert_eq!(view.standing().state, State::Late);
        assert_eq!(view.attest("nonce".into()).await, Err(AttestRefusal::NotThisPricing));
    }

    #[tokio::test]
    async fn an_attestation_is_asked_from_the_keeper_once_the_nonce_is_legal() {
        let (meter, mut desk) = open(Vec::new(), granted(meter::Pricing::Hourly));
        let mut view = EntitlementView { meter: &meter };
        for nonce in [String::new(), "n".repeat(256), "n\n".into(), "\u{e4}".into()] {
            assert_eq!(view.attest(nonce).await, Err(AttestRefusal::InvalidNonce));
        }
        let keeper = async {
            let asked = desk.attests.recv().await.unwrap();
            asked.done.send(Ok(format!("signed {}", asked.nonce))).unwrap();
        };
        let (answer, ()) = tokio::join!(view.attest("n1".into()), keeper);
        assert_eq!(answer, Ok("signed n1".to_string()));
        drop(desk);
        assert_eq!(view.attest("n2".into()).await, Err(AttestRefusal::NoAnswer));
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        let lines: Vec<String> =
            [0, 951_782_399, 951_782_400, 951_868_799, 1_795_222_348, 4_102_444_800].map(rfc3339).into();
        insta::assert_snapshot!(lines.join("\n"), @r"
        1970-01-01T00:00:00Z
        2000-02-28T23:59:59Z
        2000-02-29T00:00:00Z
        2000-02-29T23:59:59Z
        2026-11-21T00:52:28Z
        2100-01-01T00:00:00Z
        ");
    }
}
