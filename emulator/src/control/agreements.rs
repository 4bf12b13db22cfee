//! Purchases by their licences, and the tokens with which buyers come to the seller's page.

use std::sync::Arc;

use axum::{Json, extract::State};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{Refusal, Reply, read};
use crate::{
    account::hex,
    server::{Shared, entropy},
};

/// All purchases.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Reply {
    let service = shared.service();
    let agreements: Vec<_> = service.entitlements.agreements().collect();
    Ok(Json(json!({ "agreements": agreements })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgreementBody {
    product_code: String,
    /// Absent: the emulator's own buyer.
    account: Option<String>,
}

/// One more purchase by an account, beside those it has.
pub(super) async fn agree(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
    let AgreementBody { product_code, account } = read(&body)?;
    let now_ms = shared.clock.now_ms();
    let mut service = shared.service();
    if !service.products.contains_key(&product_code) {
        return Err(Refusal::unknown("product", &product_code));
    }
    let account = account.unwrap_or_else(|| service.options.account.clone());
    Ok(Json(json!(service.entitlements.agree(&product_code, &account, now_ms))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistrationBody {
    license_arn: String,
}

/// The token that the buyer's browser posts to the seller's registration page.
pub(super) async fn registration_token(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
    let RegistrationBody { license_arn } = read(&body)?;
    let now_ms = shared.clock.now_ms();
    let token = hex(&entropy::<32>());
    let mut service = shared.service();
    if service.entitlements.by_license(&license_arn).is_none() {
        return Err(Refusal::unknown("licence", &license_arn));
    }
    if !service.registration_tokens.add(token.clone(), license_arn, now_ms) {
        return Err(Refusal::bad("too many registration tokens"));
    }
    Ok(Json(json!({ "token": token })))
}
