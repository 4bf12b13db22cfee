//! Products on sale and their keys.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{Refusal, Reply, read};
use crate::{
    money::Dollars,
    product::{Pricing, Product},
    server::Shared,
};

/// What is on sale, by product code.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Reply {
    let service = shared.service();
    let products = service.products.iter().map(|(code, product)| {
        let dimensions: Vec<&str> = product.dimensions().collect();
        let prices: BTreeMap<&str, Dollars> =
            dimensions.iter().filter_map(|dimension| Some((*dimension, product.price(dimension)?))).collect();
        let shown = json!({
            "pricing": product.pricing(),
            "dimensions": dimensions,
            "publisher": product.publisher(),
            "prices": prices,
            "price_per_hour": product.price_per_hour(),
        });
        (code.clone(), shown)
    });
    Ok(Json(json!({ "products": products.collect::<BTreeMap<_, _>>() })))
}

/// The public keys by version, PEM.
pub(super) async fn keys(State(shared): State<Arc<Shared>>, Path(product_code): Path<String>) -> Reply {
    let pems = shared.service().products.get(&product_code).map(Product::public_pems);
    pems.map(|pems| Json(json!(pems))).ok_or_else(|| Refusal::unknown("product", &product_code))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductBody {
    pricing: Pricing,
    #[serde(default)]
    dimensions: Vec<String>,
    /// The account whose calls are in preview mode, and that sells a service.
    publisher: Option<String>,
    /// Integrated before licences were: its customers have a `CustomerIdentifier`.
    #[serde(default)]
    customer_identifiers: bool,
    #[serde(default = "first_version")]
    key_versions: Vec<u32>,
    /// Key version to the Unix second at which it was rotated out.
    #[serde(default)]
    rotated: BTreeMap<u32, u64>,
    /// Dimension to the price of one unit.
    #[serde(default)]
    prices: BTreeMap<String, Dollars>,
    /// The price of one hour of a task or pod.
    price_per_hour: Option<Dollars>,
}

/// Puts a product on sale, or changes it; keys and prices that it has stay.
pub(super) async fn put(State(shared): State<Arc<Shared>>, Path(code): Path<String>, body: Bytes) -> Reply {
    let body: ProductBody = read(&body)?;
    if body.key_versions.len() > KEY_VERSIONS_MAX || body.key_versions.contains(&0) {
        return Err(Refusal::bad(format!("key_versions must be at most {KEY_VERSIONS_MAX} numbers from 1")));
    }
    let mut product = Product::new(body.pricing, body.dimensions);
    if let Some(publisher) = body.publisher {
        product = product.with_publisher(publisher);
    }
    if body.customer_identifiers {
        product = product.with_customer_identifiers();
    }
    product.publish_by(&shared.service().options.publisher);
    for (dimension, price) in body.prices {
        product = product.with_price(dimension, price);
    }
    if let Some(price) = body.price_per_hour {
        product = product.with_price_per_hour(price);
    }
    if let Some(before) = shared.service().products.get(&code) {
        product.inherit(before);
    }
    let generated =
        tokio::task::spawn_blocking(move || product.generate_keys(body.key_versions).map(|()| product)).await;
    let mut product = match generated {
        Ok(Ok(product)) => product,
        Ok(Err(error)) => return Err(Refusal::bad(error.to_string())),
        Err(error) => return Err(Refusal::bad(error.to_string())),
    };
    for (version, unix_s) in body.rotated {
        product.rotate(version, unix_s);
    }
    shared.service().put_product(code, product);
    Ok(Json(json!({})))
}

/// Each takes a while to make.
const KEY_VERSIONS_MAX: usize = 100;

fn first_version() -> Vec<u32> {
    vec![1]
}
