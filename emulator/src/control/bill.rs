//! What AWS would bill, what that costs, and whether it is what a test expects.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Export, Format, Refusal, Reply, csv_response, read};
use crate::{assertion::Assertion, bill::Bill, export, invoice, server::Shared, truth};

/// Each record once, and the totals.
pub(super) async fn truth(State(shared): State<Arc<Shared>>) -> Reply {
    let records = truth::Records::of(&shared.service().ledger);
    Ok(Json(json!(records)))
}

/// By hour, dimension, customer and allocation; tasks and pods by the second.
pub(super) async fn bill(State(shared): State<Arc<Shared>>, Asked(export): Asked<Export>) -> Result<Response, Refusal> {
    let bill = bill_now(&shared);
    match export.format {
        Format::Csv => csv_response("bill", export::bill(&bill)),
        Format::Json => Ok(Json(json!(bill)).into_response()),
    }
}

/// The bill at the products' prices.
pub(super) async fn invoices(
    State(shared): State<Arc<Shared>>,
    Asked(export): Asked<Export>,
) -> Result<Response, Refusal> {
    let bill = bill_now(&shared);
    let invoices = invoice::invoices(&bill, &shared.service().products);
    match export.format {
        Format::Csv => csv_response("invoices", export::invoices(&invoices)),
        Format::Json => Ok(Json(json!({ "as_of_ms": bill.as_of_ms, "invoices": invoices })).into_response()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assertions {
    assertions: Vec<String>,
}

/// Checks what a test expects; 200 also when it does not hold.
pub(super) async fn check(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
    let asked: Assertions = read(&body)?;
    if asked.assertions.is_empty() || asked.assertions.len() > ASSERTIONS_MAX {
        return Err(Refusal::bad(format!("1 to {ASSERTIONS_MAX} assertions can be checked at once")));
    }
    let now_ms = shared.clock.now_ms();
    let read = |sentence: String| match Assertion::parse(&sentence, now_ms) {
        Ok(assertion) => Ok((sentence, assertion)),
        Err(error) => Err(Refusal::bad(format!("cannot read {sentence:?}: {error}"))),
    };
    let assertions = asked.assertions.into_iter().map(read).collect::<Result<Vec<_>, Refusal>>()?;
    let service = shared.service();
    let calls: Vec<Value> = service.truth.after(0, usize::MAX).iter().map(|call| json!(call)).collect();
    let findings = assertions.into_iter().map(|(sentence, assertion)| {
        let finding = assertion.check(&service.ledger, &calls);
        json!({ "assertion": sentence, "holds": finding.holds, "found": finding.found, "near": finding.near })
    });
    let findings: Vec<Value> = findings.collect();
    Ok(Json(json!({ "holds": findings.iter().all(|finding| finding["holds"] == true), "findings": findings })))
}

fn bill_now(shared: &Shared) -> Bill {
    let now_ms = shared.clock.now_ms();
    let service = shared.service();
    Bill::of(&service.ledger, service.options.billed_from, now_ms)
}

/// More is a script of its own.
const ASSERTIONS_MAX: usize = 1_000;
