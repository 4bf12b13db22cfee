//! Caps by the hour, and standing: what the desk is told.

use tollgate_metering::{Hour, Standing, State};
use tollgate_runtime::meter::{self as desk, Desk};

use super::Keeper;
use crate::marketplace::Marketplace;

impl<M: Marketplace> Keeper<M> {
    /// What may still be admitted until the hour is over: what this process booked so far, and what is left of the cap
    /// in the hour that takes usage now. Units under way count against the hour they will be booked to.
    pub(super) fn set_limits(&mut self, desk: &Desk) {
        let now = self.now().s;
        let policy = &self.options.policy;
        for (dimension, (rate, &booked)) in (0_u32..).zip(policy.dimensions.iter().zip(&self.booked)) {
            let Some(&cap) = self.options.caps.get(&rate.key) else { continue };
            let mut slot = policy.slot(&rate.key, Hour(0));
            slot.hour = self.ledger.book(&slot, now);
            let recorded = self.ledger.slot(&slot).map_or(0, |slot| slot.recorded);
            let left = u64::from(cap).saturating_mul(rate.per).saturating_sub(recorded);
            desk.set_limit(dimension, booked.saturating_add(left));
        }
    }

    /// Tells guests and servers how delivery goes, and whether there is room to record anything.
    pub(super) fn set_standing(&mut self, desk: &Desk) {
        let now = self.now();
        let low = self.writer.space().low;
        let was_low = self.low_since.is_some();
        self.low_since = low.then(|| self.low_since.unwrap_or(now.s));
        if !now.confirmed && !low && !was_low {
            // The age would be measured with a clock that is in doubt.
            return;
        }
        let standing = self.ledger.standing(&self.options.policy, now.s);
        let (state, since) = match (self.low_since, standing.state) {
            (Some(since), _) => (desk::State::Stopping, since),
            (None, State::Good) => (desk::State::Good, standing.since),
            (None, State::Late) => (desk::State::Late, standing.since),
            (None, State::Stopping) => (desk::State::Stopping, standing.since),
        };
        if state != desk.standing().state {
            self.tell(state, &standing);
        }
        desk.stop(state == desk::State::Stopping);
        desk.set_standing(desk::Standing { state, since });
    }

    /// The operator's log has each turn, with what the guests and the metrics say at the same time.
    fn tell(&self, state: desk::State, standing: &Standing) {
        let oldest_s = standing.oldest.map(Hour::start);
        let contested_s = standing.contested.map(Hour::start);
        match state {
            desk::State::Good => tracing::warn!("usage reaches AWS in time again; all work is taken"),
            desk::State::Late if contested_s.is_some() => {
                tracing::warn!(contested_s, "AWS holds other quantities hour after hour: another host meters here too");
            }
            desk::State::Late => {
                tracing::warn!(oldest_s, "usage is late: an hour is not accepted by AWS; work goes on")
            }
            desk::State::Stopping if self.low_since.is_some() => {
                tracing::error!("the disk of the ledger is almost full; new billable work is refused");
            }
            desk::State::Stopping if contested_s.is_some() => tracing::error!(
                contested_s,
                "another host meters under the identity of this one for too long; new billable work is refused"
            ),
            desk::State::Stopping => {
                tracing::error!(oldest_s, "usage was not accepted by AWS for too long; new billable work is refused");
            }
        }
    }
}
