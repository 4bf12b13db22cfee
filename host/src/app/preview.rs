//! The build that a seller runs once, before the listing is published: AWS wants to have seen a record of every
//! dimension, from the account that owns the listing, in us-east-1. It sends them, prints their ids and ends.
//!
//! Source: AWS Marketplace seller guide, "Integrating your container product with the AWS Marketplace Metering Service":
//! calls from the seller's own account skip the entitlement check. Nothing is billed to anybody there.

use std::fmt::Write as _;
use std::time::Duration;

use tollgate_metering::Reply;

use super::{Start, internal_error};
use crate::entitlement::{self, Ask, system_random};
use crate::exit::{self, Done, Exit, Why};
use crate::marketplace::aws::Aws;
use crate::marketplace::{Answer, Marketplace as _, MeterUsage};
use crate::place;
use crate::product::manifest::Entitlement;

/// Where AWS looks for the records.
const REGION: &str = "us-east-1";
/// In each record. Zero would also be a record; whether it counts as one here is not documented.
const UNITS: u32 = 1;
/// Between two tries of a record that was not processed.
const PAUSE: Duration = Duration::from_secs(5);

/// Sends what the listing needs and says on stdout what came back.
pub(super) async fn send(start: &Start) -> Result<Done, Exit> {
    let clock = &start.surroundings.clock;
    let place = place::find(&start.config.clues, &start.surroundings.origins, clock).await;
    let place = place.map_err(|nowhere| nowhere.exit())?;
    if place.region.to_string() != REGION {
        return Err(Exit::new(
            Why::Platform,
            format!("this is the preview build, and here is {}", place.region),
            "",
            format!("run it once in {REGION}, in the account that owns the listing"),
        ));
    }
    let aws =
        Aws::new(&place, &start.surroundings.origins, clock, start.config.proxy.as_ref()).map_err(internal_error)?;
    let mut text = format!("preview of {} in {}\n", start.manifest().product.name, place.identity);
    match &start.listing.entitlement {
        Entitlement::Register { .. } => {
            let registered = register(start, &aws).await?;
            let _ = writeln!(text, "RegisterUsage\tsince {registered}, signature verified");
        }
        Entitlement::None => text.push_str("this listing sends nothing\n"),
        Entitlement::ZeroRecord { .. } | Entitlement::DryRun { .. } => {
            for dimension in &start.manifest().dimensions {
                let record_id = record(start, &aws, &dimension.key).await?;
                let _ = writeln!(text, "{}\t{record_id}", dimension.key);
            }
        }
    }
    std::io::Write::write_all(&mut exit::output(), text.as_bytes()).map_err(super::internal)?;
    Ok(Done::Served)
}

async fn register(start: &Start, aws: &Aws) -> Result<u64, Exit> {
    let ask = Ask {
        product: &start.manifest().product.name,
        listing: &start.listing,
        keys: start.surroundings.keys.as_ref(),
        start_budget: start.config.start_budget,
        provisional_since: None,
    };
    // Such a listing has no record to send.
    let none = async || Answer { reply: Reply::Refused { code: String::new() }, date: None };
    let grant = entitlement::ask(aws, &ask, &start.surroundings.clock, &mut system_random, none).await;
    Ok(grant.map_err(|denied| denied.exit())?.since())
}

/// The id of the record, tried again for as long as AWS did not process it.
async fn record(start: &Start, aws: &Aws, dimension: &str) -> Result<String, Exit> {
    let clock = &start.surroundings.clock;
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let deadline_ms = clock.now_ms().saturating_add(millis(start.config.start_budget));
    loop {
        let record = MeterUsage {
            product_code: start.listing.product_code.clone(),
            dimension: dimension.to_owned(),
            timestamp: clock.now_ms() / 1000,
            quantity: UNITS,
            allocations: Vec::new(),
            client_token: None,
            dry_run: false,
        };
        match aws.meter_usage(record).await.reply {
            Reply::Accepted { record_id } => return Ok(record_id),
            Reply::NotProcessed { code } | Reply::Unknown { detail: code } if clock.now_ms() < deadline_ms => {
                tracing::warn!(dimension, code, "AWS has not taken the record yet");
                clock.sleep_until(clock.now_ms().saturating_add(millis(PAUSE))).await;
            }
            other => return Err(refused(dimension, &other)),
        }
    }
}

fn refused(dimension: &str, reply: &Reply) -> Exit {
    let (why, cause) = match reply {
        Reply::NotProcessed { .. } | Reply::Unknown { .. } => (Why::NoAnswer, "AWS is throttled, down or out of reach"),
        Reply::NotEntitled { .. } => (Why::NotEntitled, "this account does not own the listing"),
        _ => (Why::Listing, "product code or dimension differ from the listing, or the role may not call MeterUsage"),
    };
    Exit::new(
        why,
        format!("the record of dimension {dimension:?} was not accepted: {reply:?}"),
        cause,
        "correct it and run the preview build again; records that were accepted may be sent again in the same task",
    )
}
