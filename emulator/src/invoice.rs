//! A preview of the invoice: the bill at the prices of the products, by customer and month, as AWS charges. How AWS
//! rounds is not documented: here each line is exact to a billionth of a dollar, and a total is rounded to cents once.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{bill::Bill, money::Dollars, product::Product, quantity::Quantity};

/// What one customer pays for one month.
#[derive(Debug, Serialize)]
pub(crate) struct Invoice {
    pub(crate) customer: String,
    /// Such as `2026-11`, in UTC.
    pub(crate) month: String,
    pub(crate) lines: Vec<InvoiceLine>,
    /// Sum of the lines that have a price, rounded to cents.
    pub(crate) total: Dollars,
    pub(crate) currency: &'static str,
}

/// One dimension of one product, or the time of its tasks and pods.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InvoiceLine {
    pub(crate) product_code: String,
    /// Absent: the hours of tasks and pods.
    pub(crate) dimension: Option<String>,
    /// Units, or seconds.
    pub(crate) quantity: Quantity,
    pub(crate) unit: Unit,
    /// For one unit, or one hour. Absent: the product file gives none.
    pub(crate) price: Option<Dollars>,
    pub(crate) amount: Option<Dollars>,
}

/// What a line counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    Seconds,
    Units,
}

/// Customer and month, then product and dimension.
type Sums = BTreeMap<(String, String), BTreeMap<(String, Option<String>), Quantity>>;

/// Prices a bill.
pub(crate) fn invoices(bill: &Bill, products: &BTreeMap<String, Product>) -> Vec<Invoice> {
    let mut sums = Sums::new();
    let mut add = |customer: &str, hour: &str, product_code: &str, dimension: Option<&str>, quantity: Quantity| {
        let invoice = sums.entry((customer.to_owned(), hour.chars().take(MONTH_CHARS).collect())).or_default();
        *invoice.entry((product_code.to_owned(), dimension.map(str::to_owned))).or_default() += quantity;
    };
    for line in &bill.usage {
        add(&line.customer, &line.hour, &line.product_code, Some(&line.dimension), line.quantity);
    }
    for line in &bill.task_hours {
        add(&line.customer, &line.hour, &line.product_code, None, Quantity::units(line.seconds));
    }
    let priced = |((product_code, dimension), quantity): ((String, Option<String>), Quantity)| {
        line(products.get(&product_code), product_code, dimension, quantity)
    };
    let invoice = |((customer, month), sums): ((String, String), BTreeMap<_, _>)| {
        let lines: Vec<InvoiceLine> = sums.into_iter().map(priced).collect();
        let total: Dollars = lines.iter().filter_map(|line| line.amount).sum();
        Invoice { customer, month, lines, total: total.cents(), currency: "USD" }
    };
    sums.into_iter().map(invoice).collect()
}

fn line(product: Option<&Product>, product_code: String, dimension: Option<String>, quantity: Quantity) -> InvoiceLine {
    let (unit, whole) = if dimension.is_some() { (Unit::Units, 1) } else { (Unit::Seconds, SECONDS_PER_HOUR) };
    let price = product.and_then(|product| match &dimension {
        Some(dimension) => product.price(dimension),
        None => product.price_per_hour(),
    });
    let amount = price.map(|price| price.times(quantity.millionths(), whole * Quantity::units(1).millionths()));
    InvoiceLine { product_code, dimension, quantity, unit, price, amount }
}

/// `2026-11` of an hour in RFC 3339.
const MONTH_CHARS: usize = 7;
const SECONDS_PER_HOUR: u128 = 3_600;
