//! Calls, bill and invoices as CSV, for those who open them in a spreadsheet or compare them with `diff`.

use serde::Serialize;
use serde_json::Value;

use crate::{
    bill::Bill,
    invoice::{Invoice, Unit},
};

/// One row for each call.
pub(crate) fn calls(calls: &[Value]) -> Result<String, csv::Error> {
    #[derive(Serialize)]
    struct Row<'a> {
        seq: u64,
        at: String,
        operation: &'a str,
        resource: &'a str,
        product_code: &'a str,
        dimension: &'a str,
        quantity: String,
        status: u64,
        code: &'a str,
        record_id: &'a str,
        verdict: &'a str,
        rule: &'a str,
        fault: &'a str,
    }
    rows(calls.iter().map(|call| {
        let text = |name: &str| call[name].as_str().unwrap_or_default();
        let asked = |name: &str| call["request"][name].as_str().unwrap_or_default();
        let quantity = ["UsageQuantityAsDecimal", "UsageQuantity"].map(|name| &call["request"][name]);
        let quantity = quantity.into_iter().find(|quantity| !quantity.is_null());
        Row {
            seq: call["seq"].as_u64().unwrap_or_default(),
            at: time_text(call["at_ms"].as_u64().unwrap_or_default()),
            operation: text("operation"),
            resource: text("resource"),
            product_code: asked("ProductCode"),
            dimension: asked("UsageDimension"),
            quantity: quantity
                .map(|quantity| quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned))
                .unwrap_or_default(),
            status: call["status"].as_u64().unwrap_or_default(),
            code: text("code"),
            record_id: text("record_id"),
            verdict: text("verdict"),
            rule: text("rule"),
            fault: text("fault"),
        }
    }))
}

/// One row for each line of the bill; times of tasks are rows without a dimension, in seconds.
pub(crate) fn bill(bill: &Bill) -> Result<String, csv::Error> {
    #[derive(Serialize)]
    struct Row<'a> {
        product_code: &'a str,
        customer: &'a str,
        hour: &'a str,
        dimension: &'a str,
        tags: String,
        quantity: String,
        unit: Unit,
    }
    let usage = bill.usage.iter().map(|line| Row {
        product_code: &line.product_code,
        customer: &line.customer,
        hour: &line.hour,
        dimension: &line.dimension,
        tags: line.tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(";"),
        quantity: line.quantity.to_string(),
        unit: Unit::Units,
    });
    let tasks = bill.task_hours.iter().map(|line| Row {
        product_code: &line.product_code,
        customer: &line.customer,
        hour: &line.hour,
        dimension: "",
        tags: String::new(),
        quantity: line.seconds.to_string(),
        unit: Unit::Seconds,
    });
    rows(usage.chain(tasks))
}

/// One row for each line of each invoice.
pub(crate) fn invoices(invoices: &[Invoice]) -> Result<String, csv::Error> {
    #[derive(Serialize)]
    struct Row<'a> {
        customer: &'a str,
        month: &'a str,
        product_code: &'a str,
        dimension: &'a str,
        quantity: String,
        unit: Unit,
        price: String,
        amount: String,
        currency: &'a str,
    }
    let lines = invoices.iter().flat_map(|invoice| invoice.lines.iter().map(move |line| (invoice, line)));
    rows(lines.map(|(invoice, line)| Row {
        customer: &invoice.customer,
        month: &invoice.month,
        product_code: &line.product_code,
        dimension: line.dimension.as_deref().unwrap_or_default(),
        quantity: line.quantity.to_string(),
        unit: line.unit,
        price: line.price.map(|price| price.to_string()).unwrap_or_default(),
        amount: line.amount.map(|amount| amount.to_string()).unwrap_or_default(),
        currency: invoice.currency,
    }))
}

fn rows(rows: impl Iterator<Item = impl Serialize>) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A time in RFC 3339.
fn time_text(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.map_or_else(|| unix_ms.to_string(), |at| at.to_string())
}
