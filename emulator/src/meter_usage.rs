//! The rules of `MeterUsage`, in the order in which they decide.

use crate::{
    account::{Platform, Task},
    allocation::{self, AllocationRefusal, Split},
    ledger::{Clash, RecordKey, Sent, Source, Taken},
    operation::Operation,
    options::{Options, PastWindow, TokenScope},
    quantity::{Form, Quantity},
    service::Service,
};

/// A `MeterUsage` request whose members are well formed.
#[derive(Debug, Clone)]
pub(crate) struct MeterUsage {
    pub(crate) product_code: String,
    /// Unix milliseconds.
    pub(crate) timestamp_ms: i64,
    pub(crate) dimension: String,
    pub(crate) usage: Usage,
    pub(crate) allocations: Option<Vec<Split>>,
    pub(crate) client_token: Option<String>,
    pub(crate) dry_run: bool,
}

/// How much was used, and in which form it was said; neither form is zero in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) quantity: Quantity,
    pub(crate) form: Option<Form>,
}

/// What an accepted call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Metered {
    /// `DryRun`: all rules passed, nothing kept.
    DryRun,
    /// A new record, or the one that was there.
    Kept(Taken),
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MeterRefusal {
    #[error("Exception thrown when the customer does not have a valid subscription for the product.")]
    CustomerNotEntitled,
    #[error("The API is disabled in the Region {region}.")]
    Disabled { region: String },
    #[error(
        "A metering record has already been emitted by the same resource for {dimension} in that hour with other usage."
    )]
    Duplicate { dimension: String },
    #[error("The client token {token} was used before with different parameters.")]
    IdempotencyConflict { token: String },
    #[error("{0}")]
    InvalidAllocations(AllocationRefusal),
    #[error("The usage dimension {dimension} does not match one of the usage dimensions of the product.")]
    InvalidDimension { dimension: String },
    #[error("The endpoint of {called} was called by a container in {home}.")]
    InvalidEndpointRegion { called: String, home: String },
    #[error("The product code {product_code} is not valid.")]
    InvalidProductCode { product_code: String },
    #[error("A ClientToken is required on Amazon Bedrock AgentCore Runtime.")]
    NoClientToken,
    #[error("This operation can only be called from within an ECS task or an EKS pod.")]
    PlatformNotSupported,
    #[error("The timestamp is {0}.")]
    TimestampOutOfBounds(&'static str),
}

/// Decides one call at `now_ms` (emulator's clock). `region` is that of the endpoint called, `fresh_id` the id of the
/// record if there will be a new one.
pub(crate) fn meter_usage(
    service: &mut Service,
    task: &Task,
    region: &str,
    request: MeterUsage,
    now_ms: u64,
    fresh_id: String,
) -> Result<Metered, MeterRefusal> {
    let MeterUsage { product_code, timestamp_ms, dimension, usage, allocations, client_token, dry_run } = request;
    let Some(product) = service.products.get(&product_code) else {
        return Err(MeterRefusal::InvalidProductCode { product_code });
    };
    check_place(task, region, &service.options)?;
    if !product.sells(&dimension) {
        return Err(MeterRefusal::InvalidDimension { dimension });
    }
    check_timestamp(timestamp_ms, task, now_ms, &service.options)?;
    let allocations = allocations.map(|splits| allocation::check(splits, &usage, service.options.tag_charset));
    let allocations = allocations.transpose().map_err(MeterRefusal::InvalidAllocations)?.unwrap_or_default();
    let many_an_hour = task.platform == Platform::AgentCore;
    if many_an_hour && client_token.is_none() {
        return Err(MeterRefusal::NoClientToken);
    }

    if dry_run {
        let entitled = !service.options.dry_run_checks_subscription
            || product.is_published_by(&task.account)
            || service.entitlements.is_subscribed(&product_code, &task.account);
        return if entitled { Ok(Metered::DryRun) } else { Err(MeterRefusal::CustomerNotEntitled) };
    }
    let refused = service.options.refused_resource;
    service.entitlements.ask(task, &product_code, product, refused).ok_or(MeterRefusal::CustomerNotEntitled)?;

    let key = RecordKey {
        product_code,
        source: Source::Resource(task.resource()),
        dimension,
        hour: timestamp_ms.div_euclid(HOUR_MS),
        token: client_token.clone().filter(|_| many_an_hour),
    };
    let token = client_token.map(|token| (token_scope(task, service.options.token_scope), token));
    let sent = Sent { key, timestamp_ms, quantity: usage.quantity, allocations };
    service.ledger.take(sent.clone(), token.clone(), fresh_id).map(Metered::Kept).map_err(|clash| match clash {
        Clash::Duplicate => MeterRefusal::Duplicate { dimension: sent.key.dimension },
        Clash::Token => MeterRefusal::IdempotencyConflict { token: token.map(|(_, token)| token).unwrap_or_default() },
    })
}

/// The endpoint must be that of the caller's own region, the platform one that is metered, and both on offer.
fn check_place(task: &Task, region: &str, options: &Options) -> Result<(), MeterRefusal> {
    if task.region != region {
        return Err(MeterRefusal::InvalidEndpointRegion { called: region.to_owned(), home: task.region.clone() });
    }
    if !task.platform.meters() {
        return Err(MeterRefusal::PlatformNotSupported);
    }
    if !options.regions.offer(Operation::MeterUsage, task.platform, region) {
        return Err(MeterRefusal::Disabled { region: region.to_owned() });
    }
    Ok(())
}

/// "Six hours" in the past, and not in the future.
fn check_timestamp(timestamp_ms: i64, task: &Task, now_ms: u64, options: &Options) -> Result<(), MeterRefusal> {
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let oldest_ms = match options.past_window {
        PastWindow::Exact => now_ms - 6 * HOUR_MS,
        PastWindow::FromHourStart => now_ms - now_ms.rem_euclid(HOUR_MS) - 6 * HOUR_MS,
    };
    if timestamp_ms < oldest_ms {
        return Err(MeterRefusal::TimestampOutOfBounds("more than six hours in the past"));
    }
    if timestamp_ms > now_ms + i64::from(options.future_tolerance_s) * 1_000 {
        return Err(MeterRefusal::TimestampOutOfBounds("in the future"));
    }
    if options.refuse_before_start && timestamp_ms < i64::try_from(task.started_ms).unwrap_or(i64::MAX) {
        return Err(MeterRefusal::TimestampOutOfBounds("before the start of the software usage"));
    }
    Ok(())
}

fn token_scope(task: &Task, scope: TokenScope) -> String {
    match scope {
        TokenScope::Account => task.account.clone(),
        TokenScope::Resource => task.resource(),
    }
}

pub(crate) const HOUR_MS: i64 = 3_600_000;

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::{
        account::NewTask,
        product::{Pricing, Product},
    };

    /// Runs a script, one step a line, on a clock that stands still:
    /// `now HH:MM:SS.mmm`, `subscribe yes|no`, or `TASK QUANTITY at HH:MM:SS.mmm [token=T] [dry] [on=PLATFORM]`.
    fn check(options: Options, script: &str) -> String {
        let mut world = World { service: Service::new(options), now_ms: 0, sent: 0 };
        world.service.products.insert("p".to_owned(), Product::new(Pricing::Custom, ["d"]));
        script.lines().map(str::trim).map(|line| format!("{line}{}\n", world.step(line))).collect()
    }

    struct World {
        service: Service,
        now_ms: u64,
        sent: u32,
    }

    impl World {
        fn step(&mut self, line: &str) -> String {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["now", time] => self.now_ms = time_ms(time),
                ["subscribe", "yes"] => {
                    self.service.entitlements.subscribe("p", "1", 0);
                }
                ["subscribe", "no"] => self.service.entitlements.unsubscribe("p", "1", 0),
                [task, quantity, "at", time, ref rest @ ..] => {
                    return format!(" -> {}", self.send(task, quantity, time, rest));
                }
                _ => panic!("no such step: {line}"),
            }
            String::new()
        }

        fn send(&mut self, task: &str, quantity: &str, time: &str, rest: &[&str]) -> String {
            self.sent += 1;
            let platform = rest.iter().find_map(|word| word.strip_prefix("on=")).unwrap_or("ecs");
            let platform = serde_json::from_value(platform.into()).unwrap();
            let new = NewTask { platform, account: "1".into(), region: "us-east-1".into(), permits: None };
            let task = Task::new(new, &[task.as_bytes()[0]; 64], time_ms("12:00:00.000"));
            let request = MeterUsage {
                product_code: "p".to_owned(),
                timestamp_ms: i64::try_from(time_ms(time)).unwrap(),
                dimension: "d".to_owned(),
                usage: Usage { quantity: Quantity::parse(quantity).unwrap(), form: None },
                allocations: None,
                client_token: rest.iter().find_map(|word| word.strip_prefix("token=")).map(str::to_owned),
                dry_run: rest.contains(&"dry"),
            };
            let id = format!("id-{}", self.sent);
            match meter_usage(&mut self.service, &task, "us-east-1", request, self.now_ms, id) {
                Ok(Metered::DryRun) => "dry run".to_owned(),
                Ok(Metered::Kept(Taken::New { id })) => format!("new {id}"),
                Ok(Metered::Kept(Taken::Same { id })) => format!("same {id}"),
                Err(refusal) => refusal.to_string(),
            }
        }
    }

    fn time_ms(time: &str) -> u64 {
        let at: jiff::Timestamp = format!("2026-11-20T{time}Z").parse().unwrap();
        u64::try_from(at.as_millisecond()).unwrap()
    }

    #[test]
    fn the_window_has_sharp_edges() {
        let script = "subscribe yes
            now 14:30:00.000
            a 1 at 08:29:59.999
            a 1 at 08:30:00.000
            a 1 at 14:35:00.000
            a 1 at 14:35:00.001
            now 15:00:00.000
            a 2 at 09:00:00.000";
        assert_snapshot!(check(Options::default(), script), @"
        subscribe yes
        now 14:30:00.000
        a 1 at 08:29:59.999 -> The timestamp is more than six hours in the past.
        a 1 at 08:30:00.000 -> new id-2
        a 1 at 14:35:00.000 -> new id-3
        a 1 at 14:35:00.001 -> The timestamp is in the future.
        now 15:00:00.000
        a 2 at 09:00:00.000 -> new id-5
        ");
        let options = Options { past_window: PastWindow::FromHourStart, future_tolerance_s: 0, ..Options::default() };
        let script = "subscribe yes
            now 14:30:00.000
            a 1 at 07:59:59.999
            a 1 at 08:00:00.000
            a 1 at 14:30:00.000
            a 1 at 14:30:00.001";
        assert_snapshot!(check(options, script), @"
        subscribe yes
        now 14:30:00.000
        a 1 at 07:59:59.999 -> The timestamp is more than six hours in the past.
        a 1 at 08:00:00.000 -> new id-2
        a 1 at 14:30:00.000 -> new id-3
        a 1 at 14:30:00.001 -> The timestamp is in the future.
        ");
        let options = Options { refuse_before_start: true, ..Options::default() };
        let script = "subscribe yes
            now 14:30:00.000
            a 1 at 11:59:59.999
            a 1 at 12:00:00.000";
        assert_snapshot!(check(options, script), @"
        subscribe yes
        now 14:30:00.000
        a 1 at 11:59:59.999 -> The timestamp is before the start of the software usage.
        a 1 at 12:00:00.000 -> new id-2
        ");
    }

    #[test]
    fn the_first_record_of_an_hour_stays() {
        let script = "subscribe yes
            now 14:30:00.000
            a 5 at 13:00:00.000
            a 5 at 13:59:59.999
            a 6 at 13:30:00.000
            a 0 at 14:00:00.000
            a 1 at 14:30:00.000
            b 5 at 13:00:00.000";
        assert_snapshot!(check(Options::default(), script), @"
        subscribe yes
        now 14:30:00.000
        a 5 at 13:00:00.000 -> new id-1
        a 5 at 13:59:59.999 -> same id-1
        a 6 at 13:30:00.000 -> A metering record has already been emitted by the same resource for d in that hour with other usage.
        a 0 at 14:00:00.000 -> new id-4
        a 1 at 14:30:00.000 -> A metering record has already been emitted by the same resource for d in that hour with other usage.
        b 5 at 13:00:00.000 -> new id-6
        ");
    }

    #[test]
    fn a_token_conflicts_before_the_hour_is_looked_at_and_a_refused_call_keeps_none() {
        let script = "subscribe yes
            now 14:30:00.000
            a 5 at 13:00:00.000 token=t
            a 5 at 13:00:00.000 token=t
            a 6 at 13:00:00.000 token=t
            a 6 at 13:00:00.000 token=u
            a 5 at 12:00:00.000 token=u
            b 6 at 13:00:00.000 token=t";
        assert_snapshot!(check(Options::default(), script), @"
        subscribe yes
        now 14:30:00.000
        a 5 at 13:00:00.000 token=t -> new id-1
        a 5 at 13:00:00.000 token=t -> same id-1
        a 6 at 13:00:00.000 token=t -> The client token t was used before with different parameters.
        a 6 at 13:00:00.000 token=u -> A metering record has already been emitted by the same resource for d in that hour with other usage.
        a 5 at 12:00:00.000 token=u -> new id-5
        b 6 at 13:00:00.000 token=t -> new id-6
        ");
    }

    #[test]
    fn only_a_real_call_asks_for_the_subscription_and_only_the_first() {
        let script = "now 14:30:00.000
            a 5 at 13:00:00.000 dry
            a 5 at 13:00:00.000
            subscribe yes
            a 5 at 13:00:00.000
            subscribe no
            a 5 at 14:00:00.000
            b 5 at 13:00:00.000";
        assert_snapshot!(check(Options::default(), script), @"
        now 14:30:00.000
        a 5 at 13:00:00.000 dry -> dry run
        a 5 at 13:00:00.000 -> Exception thrown when the customer does not have a valid subscription for the product.
        subscribe yes
        a 5 at 13:00:00.000 -> new id-3
        subscribe no
        a 5 at 14:00:00.000 -> new id-4
        b 5 at 13:00:00.000 -> Exception thrown when the customer does not have a valid subscription for the product.
        ");
    }

    #[test]
    fn quantities_are_compared_by_value() {
        let script = "subscribe yes
            now 14:30:00.000
            a 17 at 13:00:00.000 token=t
            a 17.00 at 13:00:00.000 token=t
            a 17.0 at 13:30:00.000
            a 17.01 at 13:30:00.000";
        assert_snapshot!(check(Options::default(), script), @"
        subscribe yes
        now 14:30:00.000
        a 17 at 13:00:00.000 token=t -> new id-1
        a 17.00 at 13:00:00.000 token=t -> same id-1
        a 17.0 at 13:30:00.000 -> same id-1
        a 17.01 at 13:30:00.000 -> A metering record has already been emitted by the same resource for d in that hour with other usage.
        ");
    }

    #[test]
    fn on_agentcore_an_hour_takes_many_records_and_the_token_tells_them_apart() {
        let script = "subscribe yes
            now 14:30:00.000
            a 5 at 13:00:00.000 on=agent-core token=t
            a 5 at 13:00:00.000 on=agent-core token=u
            a 7 at 13:10:00.000 on=agent-core token=v
            a 7 at 13:10:00.000 on=agent-core token=v
            a 8 at 13:10:00.000 on=agent-core token=v
            a 5 at 13:00:00.000 on=agent-core
            a 5 at 13:00:00.000 on=static token=t
            a 5 at 13:00:00.000 on=ec2";
        assert_snapshot!(check(Options::default(), script), @"
        subscribe yes
        now 14:30:00.000
        a 5 at 13:00:00.000 on=agent-core token=t -> new id-1
        a 5 at 13:00:00.000 on=agent-core token=u -> new id-2
        a 7 at 13:10:00.000 on=agent-core token=v -> new id-3
        a 7 at 13:10:00.000 on=agent-core token=v -> same id-3
        a 8 at 13:10:00.000 on=agent-core token=v -> The client token v was used before with different parameters.
        a 5 at 13:00:00.000 on=agent-core -> A ClientToken is required on Amazon Bedrock AgentCore Runtime.
        a 5 at 13:00:00.000 on=static token=t -> This operation can only be called from within an ECS task or an EKS pod.
        a 5 at 13:00:00.000 on=ec2 -> new id-8
        ");
    }
}
