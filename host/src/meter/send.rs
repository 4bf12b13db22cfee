//! Requests on their way to AWS.

use tollgate_metering::{Alarm, Clocks, Request, SlotId, Verdict};

use super::{Keeper, clocks, random, time_question};
use crate::ledger::Poisoned;
use crate::marketplace::{Allocation, Answer, Marketplace, MeterUsage};

/// Requests under way at once. AWS allows ten calls a second for a whole account and region.
pub(super) const AT_ONCE_MAX: usize = 4;

/// A request that came back.
#[derive(Debug)]
pub(super) struct Sent {
    /// None: it asked for the time only.
    slot: Option<SlotId>,
    /// When it left.
    left: Clocks,
    answer: Answer,
}

impl<M: Marketplace> Keeper<M> {
    /// Sends a request whose try is on disk.
    pub(super) fn send(&mut self, slot: SlotId, request: &Request) {
        tracing::info!(dimension = slot.dimension, hour = slot.hour.0, quantity = request.quantity, "sending usage");
        let record = wire(&slot.dimension, request);
        self.spawn(Some(slot), record);
    }

    /// Asks AWS for its time if the clock is in doubt.
    pub(super) fn ask_time(&mut self) {
        if let Some(question) = self.time_wanted() {
            self.spawn(None, question);
        }
    }

    /// Asks AWS for its time, and waits for the answer, if the clock is in doubt.
    pub(super) async fn learn_time(&mut self) {
        if let Some(question) = self.time_wanted() {
            let left = clocks(&self.clock);
            let answer = self.marketplace.meter_usage(question).await;
            self.saw_date(left, answer.date);
        }
    }

    fn time_wanted(&mut self) -> Option<MeterUsage> {
        let clocks = clocks(&self.clock);
        let wanted = self.options.policy.sends && self.trust.wants_date(clocks);
        let question = time_question(&self.options.policy, clocks.wall).filter(|_| wanted)?;
        tracing::warn!(
            wall = clocks.wall,
            "the clock was set, or nobody knows yet that it is right: asking AWS for its time"
        );
        Some(question)
    }

    fn spawn(&mut self, slot: Option<SlotId>, record: MeterUsage) {
        let marketplace = self.marketplace.clone();
        let left = clocks(&self.clock);
        let sent = async move { Sent { slot, left, answer: marketplace.meter_usage(record).await } };
        self.sends.spawn_on(sent, &self.runtime);
    }

    /// Writes what an answer means. Says the code if the process has to end as not entitled.
    pub(super) fn answered(&mut self, sent: Sent) -> Result<Option<String>, Poisoned> {
        self.saw_date(sent.left, sent.answer.date);
        let Some(slot) = sent.slot else { return Ok(None) };
        let now = self.now().s;
        let Verdict { records, alarm, not_entitled } = self.ledger.answer(&slot, &sent.answer.reply, now, random());
        tell(&slot, &sent.answer, alarm.as_ref());
        self.write(records)?;
        let code = match sent.answer.reply {
            tollgate_metering::Reply::NotEntitled { code } if not_entitled => Some(code),
            _ => None,
        };
        Ok(code)
    }
}

fn tell(slot: &SlotId, answer: &Answer, alarm: Option<&Alarm>) {
    let (dimension, hour) = (&slot.dimension, slot.hour.0);
    match (alarm, &answer.reply) {
        (Some(alarm), _) => tracing::error!(dimension, hour, ?alarm, "a usage record needs attention"),
        (None, tollgate_metering::Reply::Accepted { record_id }) => {
            tracing::info!(dimension, hour, record_id, "usage accepted");
        }
        (None, reply) => tracing::warn!(dimension, hour, ?reply, "usage not accepted yet"),
    }
}

/// The request in the words of the marketplace.
pub(super) fn wire(dimension: &str, request: &Request) -> MeterUsage {
    let tollgate_metering::Form::Integer = request.form;
    let part =
        |part: &tollgate_metering::Allocation| Allocation { quantity: part.quantity, tags: part.tags.pairs().to_vec() };
    MeterUsage {
        product_code: request.product_code.clone(),
        dimension: dimension.to_owned(),
        timestamp: request.timestamp,
        quantity: request.quantity,
        allocations: request.allocations.iter().map(part).collect(),
        client_token: Some(request.token.clone()),
        dry_run: false,
    }
}
