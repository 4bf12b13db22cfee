//! `[behaviour]`: each point that AWS leaves open; the fields of [`Options`] say what they are and why they default so.

use super::reader::Table;
use crate::options::{
    BilledFrom, DryRunReply, ExpiredKey, Options, PastWindow, RefusedResource, TagCharset, TokenScope, UnknownCustomer,
    WireClock,
};
use crate::quota::Quota;

pub(super) fn read(table: &Table<'_>, options: &mut Options) {
    let quotas = [("documented", Some(Quota::DOCUMENTED)), ("none", None)];
    set(&mut options.quota, table.choice("quota", &quotas));
    let from = [("registration", BilledFrom::Registration), ("task-start", BilledFrom::TaskStart)];
    set(&mut options.billed_from, table.choice("billed_from", &from));
    let replies = [
        ("empty", DryRunReply::Empty),
        ("error-400", DryRunReply::ErrorCode { status: 400 }),
        ("error-412", DryRunReply::ErrorCode { status: 412 }),
    ];
    set(&mut options.dry_run, table.choice("dry_run", &replies));
    let expired = [("refuse", ExpiredKey::Refuse), ("sign", ExpiredKey::Sign)];
    set(&mut options.expired_key, table.choice("expired_key", &expired));
    let windows = [("exact", PastWindow::Exact), ("from-hour-start", PastWindow::FromHourStart)];
    set(&mut options.past_window, table.choice("past_window", &windows));
    let refused = [("ask-again", RefusedResource::AskAgain), ("let-pass", RefusedResource::LetPass)];
    set(&mut options.refused_resource, table.choice("refused_resource", &refused));
    let charsets = [("model", TagCharset::Model), ("prose", TagCharset::Prose)];
    set(&mut options.tag_charset, table.choice("tag_charset", &charsets));
    let scopes = [("account", TokenScope::Account), ("resource", TokenScope::Resource)];
    set(&mut options.token_scope, table.choice("token_scope", &scopes));
    set(&mut options.auth_error_status, table.choice("auth_error_status", &[("400", 400), ("403", 403)]));
    set(&mut options.dry_run_checks_subscription, table.boolean("dry_run_checks_subscription"));
    set(&mut options.refuse_before_start, table.boolean("refuse_before_start"));
    set(&mut options.future_tolerance_s, table.number("future_tolerance_s", 86_400));
    let unknown = [("not-subscribed", UnknownCustomer::NotSubscribed), ("refuse", UnknownCustomer::Refuse)];
    set(&mut options.unknown_customer, table.choice("unknown_customer", &unknown));
    let clocks = [("emulator", WireClock::Emulator), ("real", WireClock::Real)];
    set(&mut options.wire_clock, table.choice("wire_clock", &clocks));
    set(&mut options.final_usage_s, table.number("final_usage_s", 7 * 86_400));
    set(&mut options.registration_token_life_s, table.number("registration_token_life_s", 7 * 86_400));
    table.close();
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
