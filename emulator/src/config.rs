//! The emulator's file: products with their prices, buyers with their subscriptions, and how the service behaves
//! where AWS documents nothing. [`Options::read`] makes [`Options`] that hold together, or names every mistake with its place.

use std::collections::BTreeSet;

use toml::de::DeTable;

use crate::{
    money::Dollars,
    options::{Options, Subscription},
    product::{Pricing, Product},
};

mod behaviour;
mod reader;

use reader::{Mistakes, Placed, Table};

/// Every mistake of a file, in its order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigErrors(Vec<String>);

impl Options {
    /// Takes the text of an emulator's file.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every mistake.
    pub fn read(text: &str) -> Result<Self, ConfigErrors> {
        let mistakes = Mistakes::new(text);
        let (document, broken) = DeTable::parse_recoverable(text);
        for error in &broken {
            let at = error.span().map_or(0, |span| span.start);
            mistakes.note(at, &format!("not TOML: {}", error.message()), "correct the syntax at this place");
        }
        let mut options = Self::default();
        // What follows a broken line may be misread, and a report of it would be noise.
        if broken.is_empty() {
            whole(&Table::root(document.get_ref(), &mistakes), &mut options);
        }
        let lines = mistakes.into_lines();
        if lines.is_empty() { Ok(options) } else { Err(ConfigErrors(lines)) }
    }
}

fn whole(file: &Table<'_>, options: &mut Options) {
    if let Some(account) = account(file, "account") {
        options.account = account.value;
    }
    if let Some(region) = file.text("region") {
        options.region = region.value;
    }
    options.start_s = file.parsed("start", "2026-11-20T14:30:00Z", unix_s).map(|start| start.value);
    for table in file.tables("product") {
        if let Some((code, product)) = product(&table)
            && options.products.insert(code.value.clone(), product).is_some()
        {
            file.note(code.at, &format!("product {:?} is here twice", code.value), "remove one of them");
        }
    }
    let mut accounts = BTreeSet::new();
    for table in file.tables("buyer") {
        subscriptions(&table, &mut accounts, options);
    }
    if let Some(table) = file.table("behaviour") {
        behaviour::read(&table, options);
    }
    file.close();
}

/// `[[product]]`.
fn product(table: &Table<'_>) -> Option<(Placed<String>, Product)> {
    let code = table.needed_text("code", "1abc2defghij3klmnopq4rstu");
    let pricing = table.needed_text("pricing", "custom").and_then(|_| table.choice("pricing", PRICINGS));
    let publisher = account(table, "publisher");
    let legacy = table.boolean("customer_identifiers").unwrap_or_default();
    let versions = table.numbers("key_versions", u32::MAX);
    let per_hour = table.parsed("price_per_hour", "0.10", Dollars::parse);
    let dimensions = table.tables("dimension");
    let dimensions = dimensions.iter().filter_map(|dimension| {
        let key = dimension.needed_text("key", "images");
        let price = dimension.parsed("price", "0.0025", Dollars::parse);
        dimension.close();
        Some((key?.value, price.map(|price| price.value)))
    });
    let dimensions: Vec<(String, Option<Dollars>)> = dimensions.collect();
    table.close();

    let mut product = Product::new(pricing?, dimensions.iter().map(|(key, _)| key.as_str()));
    for (key, price) in dimensions {
        if let Some(price) = price {
            product = product.with_price(key, price);
        }
    }
    if let Some(price) = per_hour {
        product = product.with_price_per_hour(price.value);
    }
    if let Some(publisher) = publisher {
        product = product.with_publisher(publisher.value);
    }
    if legacy {
        product = product.with_customer_identifiers();
    }
    let versions = if versions.is_empty() { vec![1] } else { versions };
    product.expect_keys(versions);
    Some((code?, product))
}

/// `[[buyer]]`.
fn subscriptions(table: &Table<'_>, seen: &mut BTreeSet<String>, options: &mut Options) {
    let id = table.needed_text("id", "123456789012").and_then(|_| account(table, "id"));
    let codes = table.texts("subscribed");
    table.close();
    for code in &codes {
        if !options.products.contains_key(&code.value) {
            let what = format!("there is no product {:?}", code.value);
            table.note(code.at, &what, "add a [[product]] with this code");
        }
    }
    let Some(id) = id else { return };
    if !seen.insert(id.value.clone()) {
        table.note(id.at, &format!("buyer {} is here twice", id.value), "put all it is subscribed to in one");
    }
    let subscription = |code: Placed<String>| Subscription { account: id.value.clone(), product_code: code.value };
    options.subscribed.extend(codes.into_iter().map(subscription));
}

/// An AWS account: twelve digits.
fn account(table: &Table<'_>, key: &'static str) -> Option<Placed<String>> {
    let twelve_digits =
        |text: &str| (text.len() == 12 && text.bytes().all(|digit| digit.is_ascii_digit())).then(|| text.to_owned());
    table.parsed(key, "123456789012", twelve_digits)
}

fn unix_s(text: &str) -> Option<u64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_second()).ok()
}

const PRICINGS: &[(&str, Pricing)] = &[
    ("custom", Pricing::Custom),
    ("free", Pricing::Free),
    ("hourly", Pricing::Hourly),
    ("monthly", Pricing::Monthly),
    ("saas", Pricing::Saas),
];

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const GOOD: &str = r#"
account = "111122223333"
region = "eu-west-1"
start = "2026-11-20T14:30:00Z"

[[product]]
code = "thumbnails"
pricing = "custom"
[[product.dimension]]
key = "images"
price = "0.0025"
[[product.dimension]]
key = "start"

[[product]]
code = "editor"
pricing = "hourly"
publisher = "999988887777"
key_versions = [1, 2]
price_per_hour = "0.10"

[[buyer]]
id = "111122223333"
subscribed = ["thumbnails", "editor"]

[[buyer]]
id = "444455556666"
subscribed = ["editor"]

[behaviour]
quota = "none"
future_tolerance_s = 60
"#;

    #[test]
    fn a_good_file_becomes_options() {
        let options = Options::read(GOOD).unwrap();
        assert_eq!((options.account.as_str(), options.region.as_str()), ("111122223333", "eu-west-1"));
        assert_eq!((options.start_s, options.future_tolerance_s, options.quota), (Some(1_795_185_000), 60, None));
        let thumbnails = &options.products["thumbnails"];
        assert_eq!(thumbnails.dimensions().collect::<Vec<_>>(), ["images", "start"]);
        assert_eq!((thumbnails.price("images"), thumbnails.price("start")), (Dollars::parse("0.0025"), None));
        let editor = &options.products["editor"];
        assert_eq!((editor.publisher(), editor.price_per_hour()), (Some("999988887777"), Dollars::parse("0.1")));
        let subscribed = options.subscribed.iter().map(|s| format!("{} {}", s.account, s.product_code));
        assert_eq!(
            subscribed.collect::<Vec<_>>(),
            ["111122223333 thumbnails", "111122223333 editor", "444455556666 editor"]
        );
        assert!(Options::read("").unwrap().products.is_empty());
    }

    #[test]
    fn every_mistake_is_named_at_once_with_its_place() {
        let text = r#"
acount = "1"
account = 123456789012
start = "noon"

[[product]]
pricing = "monthy"
key_versions = [1, "two"]
[[product.dimension]]
key = "images"
price = "cheap"
prize = "0.1"

[[product]]
code = "thumbnails"
pricing = "custom"

[[product]]
code = "thumbnails"
pricing = "custom"

[[buyer]]
id = "1234"
subscribed = ["nails"]

[behaviour]
quota = "much"
refuse_before_start = "yes"
"#;
        assert_snapshot!(Options::read(text).unwrap_err(), @r#"
        line 2, column 1: the file has no key "acount"
          next: remove it, or use one of: account, region, start, product, buyer, behaviour
        line 3, column 11: account is of type integer, not a string in quotes
          next: write a string in quotes
        line 4, column 9: start is "noon"
          next: write it like "2026-11-20T14:30:00Z"
        line 6, column 1: [[product]] has no code
          next: add code = "1abc2defghij3klmnopq4rstu"
        line 7, column 11: pricing is "monthy"
          next: use one of: custom, free, hourly, monthly, saas
        line 8, column 20: key_versions is of type string, not a whole number from 0 to 4294967295
          next: write a whole number from 0 to 4294967295
        line 11, column 9: price is "cheap"
          next: write it like "0.0025"
        line 12, column 1: [[dimension]] has no key "prize"
          next: remove it, or use one of: key, price
        line 19, column 8: product "thumbnails" is here twice
          next: remove one of them
        line 23, column 6: id is "1234"
          next: write it like "123456789012"
        line 24, column 15: there is no product "nails"
          next: add a [[product]] with this code
        line 27, column 9: quota is "much"
          next: use one of: documented, none
        line 28, column 23: refuse_before_start is of type string, not true or false
          next: write true or false
        "#);
        assert_snapshot!(Options::read("account = \n[[product]\n").unwrap_err(), @"
        line 1, column 11: not TOML: string values must be quoted, expected literal string
          next: correct the syntax at this place
        line 2, column 11: not TOML: unclosed array table, expected `]`
          next: correct the syntax at this place
        ");
    }
}
