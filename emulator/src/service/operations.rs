//! Each operation between its bytes and its rules: what was decided becomes an answer and a verdict.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Decision, Moment, Service, refused, uuid};
use crate::{
    batch_meter_usage::{self, Status, UsageRecord},
    jwt::{Algorithm, Claims},
    ledger::Taken,
    meter_usage::{self, Metered},
    options::DryRunReply,
    register_usage, resolve_customer,
    sigv4::Signer,
    truth::Verdict,
    wire::{self, BadRequest, Reply},
};

impl Service {
    pub(super) fn meter_usage(&mut self, signer: &Signer, body: &[u8], at: &Moment) -> Result<Decision, BadRequest> {
        let request = wire::meter_usage(body)?;
        let Signer { task, region } = signer;
        let decided = meter_usage::meter_usage(self, task, region, request, at.now_ms, uuid(&at.entropy, 0));
        Ok(match decided {
            Ok(Metered::DryRun) => {
                let rule = "dry-run".to_owned();
                Decision { reply: self.dry_run(), verdict: Verdict::DryRun, rule, record_id: None }
            }
            Ok(Metered::Kept(taken)) => {
                let (id, rule) = match taken {
                    Taken::New { id } => (id, "recorded"),
                    Taken::Same { id } => (id, "identical-record-was-there"),
                };
                accepted(json!({ "MeteringRecordId": id }), rule.to_owned(), Some(id))
            }
            Err(refusal) => refused(wire::meter_refusal(&refusal, self.options.platform_error_of_meter_usage)),
        })
    }

    pub(super) fn batch_meter_usage(
        &mut self,
        signer: &Signer,
        body: &[u8],
        at: &Moment,
        unprocessed: bool,
    ) -> Result<Decision, BadRequest> {
        let request = wire::batch_meter_usage(body)?;
        let Signer { task, region } = signer;
        if unprocessed {
            let records: Vec<&Value> = request.records.iter().map(|record| &record.echo).collect();
            let reply = Reply::ok(json!({ "Results": [], "UnprocessedRecords": records }));
            let rule = "unprocessed".to_owned();
            return Ok(Decision { reply, verdict: Verdict::NotProcessed, rule, record_id: None });
        }
        let id = |n| uuid(&at.entropy, n);
        let decided = batch_meter_usage::batch_meter_usage(self, task, region, &request, at.now_ms, id);
        let statuses = match decided {
            Ok(statuses) => statuses,
            Err(refusal) => return Ok(refused(wire::batch_refusal(&refusal))),
        };
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for status in &statuses {
            *counts.entry(status_rule(status)).or_default() += 1;
        }
        let rule: Vec<String> = counts.iter().map(|(rule, count)| format!("{count} {rule}")).collect();
        let results: Vec<Value> =
            request.records.iter().zip(&statuses).map(|(record, status)| result(record, status)).collect();
        let reply = json!({ "Results": results, "UnprocessedRecords": [] });
        Ok(accepted(reply, rule.join(", "), None))
    }

    pub(super) fn register_usage(&mut self, signer: &Signer, body: &[u8], at: &Moment) -> Result<Decision, BadRequest> {
        let request = wire::register_usage(body)?;
        let Signer { task, region } = signer;
        let registered = match register_usage::register_usage(self, task, region, &request, at.now_ms) {
            Ok(registered) => registered,
            Err(refusal) => return Ok(refused(wire::register_refusal(&refusal))),
        };
        let claims = Claims {
            product_code: &request.product_code,
            public_key_version: request.public_key_version,
            nonce: request.nonce.as_deref(),
            iat: at.now_ms / 1_000,
        };
        let mut answer = match registered.key.sign(Algorithm::Ps256, &claims) {
            Ok(signature) => json!({ "Signature": signature }),
            Err(error) => return Ok(refused(Reply::error("InternalServiceErrorException", &error.to_string()))),
        };
        if let Some(rotated_s) = registered.rotated_s {
            answer["PublicKeyRotationTimestamp"] = json!(rotated_s);
        }
        Ok(accepted(answer, registered.rule.to_owned(), None))
    }

    pub(super) fn resolve_customer(
        &mut self,
        signer: &Signer,
        body: &[u8],
        at: &Moment,
    ) -> Result<Decision, BadRequest> {
        let request = wire::resolve_customer(body)?;
        let Signer { task, region } = signer;
        let agreement = match resolve_customer::resolve_customer(self, task, region, &request, at.now_ms) {
            Ok(agreement) => agreement,
            Err(refusal) => return Ok(refused(wire::resolve_refusal(&refusal))),
        };
        let mut answer = json!({
            "CustomerAWSAccountId": agreement.account,
            "ProductCode": agreement.product_code,
            "LicenseArn": agreement.license_arn,
            "Metadata": { "AgreementId": agreement.agreement_id },
        });
        // "For new SaaS product integrations, the CustomerIdentifier field is not populated."
        if self.products.get(&agreement.product_code).is_some_and(|product| product.is_legacy()) {
            answer["CustomerIdentifier"] = json!(agreement.customer_identifier);
        }
        Ok(accepted(answer, "resolved".to_owned(), None))
    }

    fn dry_run(&self) -> Reply {
        match self.options.dry_run {
            DryRunReply::Empty => Reply::ok(json!({})),
            DryRunReply::ErrorCode { status } => {
                let message = "Request would have succeeded, but DryRun flag is set.";
                Reply { status, ..Reply::error("DryRunOperation", message) }
            }
        }
    }
}

fn accepted(reply: Value, rule: String, record_id: Option<String>) -> Decision {
    Decision { reply: Reply::ok(reply), verdict: Verdict::Accepted, rule, record_id }
}

fn result(record: &UsageRecord, status: &Status) -> Value {
    match status {
        Status::CustomerNotSubscribed => json!({ "UsageRecord": record.echo, "Status": "CustomerNotSubscribed" }),
        Status::DuplicateRecord => json!({ "UsageRecord": record.echo, "Status": "DuplicateRecord" }),
        Status::Success(Taken::New { id } | Taken::Same { id }) => {
            json!({ "UsageRecord": record.echo, "MeteringRecordId": id, "Status": "Success" })
        }
    }
}

fn status_rule(status: &Status) -> &'static str {
    match status {
        Status::CustomerNotSubscribed => "customer-not-subscribed",
        Status::DuplicateRecord => "duplicate-record",
        Status::Success(Taken::New { .. }) => "recorded",
        Status::Success(Taken::Same { .. }) => "identical-record-was-there",
    }
}
