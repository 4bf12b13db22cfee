use std::collections::VecDeque;
use std::sync::{LazyLock, Mutex};

use aws_lc_rs::rsa::{KeyPair, KeySize};

use super::*;
use crate::clock::Steer;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

/// What the scripted service does with one call.
#[derive(Clone, Debug)]
enum Act {
    /// Signs what was asked, `iat` being now.
    Sign,
    /// Signs, but for the nonce of an earlier start.
    Replay,
    /// Signs, and says that the key was rotated.
    SignRotated,
    Fail(AskError),
    Reply(Reply),
}

struct Script {
    acts: Mutex<VecDeque<Act>>,
    nonces: Mutex<Vec<String>>,
    clock: Clock,
    steer: Steer,
    offset_ms: Mutex<i64>,
}

impl Script {
    fn new(acts: &[Act]) -> Self {
        let (clock, steer) = Clock::steered();
        let acts = Mutex::new(acts.iter().cloned().collect());
        Self { acts, nonces: Mutex::default(), clock, steer, offset_ms: Mutex::default() }
    }

    /// The next act; the last one is repeated. Time passes with each call, so that waiting ends.
    fn next(&self) -> Act {
        let mut acts = self.acts.lock().unwrap();
        if acts.len() > 1 { acts.pop_front().unwrap() } else { acts[0].clone() }
    }
}

impl Marketplace for Script {
    async fn register_usage(&self, ask: RegisterUsage) -> Result<Registered, AskError> {
        self.nonces.lock().unwrap().push(ask.nonce.clone());
        let act = self.next();
        let nonce = if matches!(act, Act::Replay) { "0".repeat(64) } else { ask.nonce };
        let claims = format!(
            r#"{{"productCode":{:?},"publicKeyVersion":{},"nonce":{nonce:?},"iat":{}}}"#,
            ask.product_code,
            ask.public_key_version,
            self.clock.now_ms() / 1000
        );
        match act {
            Act::Fail(error) => Err(error),
            Act::Reply(reply) => panic!("{reply:?} is no reply of RegisterUsage"),
            Act::Sign | Act::Replay => Ok(Registered { signature: jwt::sign(&KEY, &claims), rotation: None }),
            Act::SignRotated => Ok(Registered { signature: jwt::sign(&KEY, &claims), rotation: Some(7) }),
        }
    }

    async fn meter_usage(&self, record: MeterUsage) -> Answer {
        assert!(record.dry_run, "a real record goes through the ledger");
        self.answer()
    }
}

impl Script {
    fn answer(&self) -> Answer {
        match self.next() {
            Act::Reply(reply) => Answer { reply, date: None },
            other => panic!("{other:?} is no reply of MeterUsage"),
        }
    }

    /// Lets time pass whenever somebody waits for it.
    async fn pass_time(&self) {
        loop {
            tokio::task::yield_now().await;
            let offset_ms = {
                let mut offset_ms = self.offset_ms.lock().unwrap();
                *offset_ms += 1_000;
                *offset_ms
            };
            self.steer.set_offset_ms(offset_ms);
        }
    }
}

fn listing(pricing: Pricing) -> Listing {
    let entitlement = match pricing {
        Pricing::Custom => Entitlement::ZeroRecord { dimension: "start".into() },
        Pricing::Free | Pricing::Byol => Entitlement::None,
        _ => Entitlement::Register { keys: BTreeMap::from([(1, "unused".into()), (2, jwt::pem(&KEY))]) },
    };
    Listing { id: "paid".into(), product_code: "abc".into(), pricing, entitlement, carry: false }
}

fn dry() -> Listing {
    Listing { entitlement: Entitlement::DryRun { dimension: "images".into() }, ..listing(Pricing::Custom) }
}

fn run_with(listing: &Listing, script: &Script, earlier: Option<u64>) -> Result<Grant, Denied> {
    let question = Ask {
        product: "thumbnails",
        listing,
        keys: None,
        start_budget: Duration::from_secs(600),
        provisional_since: earlier,
    };
    let mut count = 0;
    let mut random = |buffer: &mut [u8]| {
        count += 1;
        buffer.fill(count);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let asked = ask(script, &question, &script.clock, &mut random, async || script.answer());
        tokio::select! {
            biased;
            result = asked => result,
            () = script.pass_time() => unreachable!(),
        }
    })
}

fn run(listing: &Listing, acts: &[Act]) -> Result<Grant, Denied> {
    run_with(listing, &Script::new(acts), None)
}

fn throttled() -> Act {
    Act::Fail(AskError::Retry { code: "ThrottlingException".into() })
}

fn reply(reply: Reply) -> Act {
    Act::Reply(reply)
}

#[test]
fn a_genuine_reply_is_a_grant() {
    for pricing in [Pricing::Hourly, Pricing::Monthly] {
        let grant = run(&listing(pricing), &[Act::Sign]).unwrap();
        assert_eq!((grant.product(), grant.listing(), grant.pricing()), ("thumbnails", "paid", pricing));
        assert_eq!((grant.proof(), grant.rotation()), (Proof::Proven, None));
    }
    assert_eq!(run(&listing(Pricing::Hourly), &[Act::SignRotated]).unwrap().rotation(), Some(7));
}

#[test]
fn a_replayed_reply_is_no_grant() {
    let denied = run(&listing(Pricing::Hourly), &[Act::Replay]).unwrap_err();
    assert_eq!(denied, Denied::NotGenuine(NotGenuine::Mismatch("nonce")));
}

#[test]
fn each_question_has_a_nonce_of_its_own_of_256_bits() {
    let script = Script::new(&[throttled(), throttled(), Act::Sign]);
    run_with(&listing(Pricing::Hourly), &script, None).unwrap();
    let nonces = script.nonces.lock().unwrap();
    assert_eq!(nonces.len(), 3);
    assert!(nonces.iter().all(|nonce| nonce.len() == 64), "{nonces:?}");
    assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2], "{nonces:?}");
}

#[test]
fn the_newest_key_version_is_asked_for_and_keys_by_value_win() {
    let mut listing = listing(Pricing::Hourly);
    run(&listing, &[Act::Sign]).unwrap();
    listing.entitlement = Entitlement::Register { keys: BTreeMap::from([(1, "damaged".into())]) };
    assert_eq!(run(&listing, &[Act::Sign]).unwrap_err(), Denied::NotGenuine(NotGenuine::Key));
    let keys = BTreeMap::from([(7, jwt::pem(&KEY))]);
    let question = Ask {
        product: "p",
        listing: &listing,
        keys: Some(&keys),
        start_budget: Duration::ZERO,
        provisional_since: None,
    };
    let script = Script::new(&[Act::Sign]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut random = |_: &mut [u8]| {};
    let asked = ask(&script, &question, &script.clock, &mut random, async || unreachable!());
    assert_eq!(runtime.block_on(asked).unwrap().proof(), Proof::Proven);
}

#[test]
fn an_outage_within_the_budget_is_waited_out() {
    assert!(run(&listing(Pricing::Hourly), &[throttled(), throttled(), throttled(), Act::Sign]).is_ok());
    let unknown = reply(Reply::Unknown { detail: "timeout".into() });
    let unsent = reply(Reply::NotProcessed { code: "no connection: refused".into() });
    let accepted = reply(Reply::Accepted { record_id: "r".into() });
    assert!(run(&listing(Pricing::Custom), &[unknown, unsent, accepted]).is_ok());
}

#[test]
fn a_spent_budget_ends_the_asking() {
    let denied = run(&listing(Pricing::Hourly), &[throttled()]).unwrap_err();
    let Denied::NoAnswer { code, attempts, .. } = &denied else { panic!("{denied}") };
    assert_eq!(code, "ThrottlingException");
    assert!((20..600).contains(attempts), "{attempts}");
    assert_eq!(denied.exit().why.code(), 71);
}

#[test]
fn waits_are_spread_and_double_up_to_a_cap() {
    let waits = |random: u64| -> Vec<u64> {
        let mut patience = Patience { deadline_ms: u64::MAX, attempts: 0 };
        (0..8).filter_map(|_| patience.wait_ms(0, random)).collect()
    };
    assert_eq!(waits(0), [100; 8]);
    // 2^64 - 1 modulo each cap.
    assert!(
        waits(u64::MAX)
            .iter()
            .zip([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
            .all(|(w, cap)| *w < cap + 100)
    );
    assert_eq!(Patience { deadline_ms: 100, attempts: 0 }.wait_ms(0, 0), None);
}

#[test]
fn an_accepted_zero_record_is_a_proof_and_so_is_one_from_before() {
    for reply in [Reply::Accepted { record_id: "r".into() }, Reply::Duplicate] {
        assert_eq!(run(&listing(Pricing::Custom), &[Act::Reply(reply)]).unwrap().proof(), Proof::Proven);
    }
}

#[test]
fn a_dry_run_is_provisional_and_a_restart_does_not_renew_it() {
    let grant = run(&dry(), &[reply(Reply::DryRunOk)]).unwrap();
    assert!(grant.provisional());
    let again = run_with(&dry(), &Script::new(&[reply(Reply::DryRunOk)]), Some(42)).unwrap();
    assert_eq!(again.since(), 42);
    // A proof is as old as itself.
    let proven = run_with(&listing(Pricing::Hourly), &Script::new(&[Act::Sign]), Some(42)).unwrap();
    assert!(proven.since() > 42);
}

#[test]
fn a_reply_to_another_question_is_no_grant() {
    assert!(run(&dry(), &[reply(Reply::Accepted { record_id: "r".into() })]).is_err());
    assert!(run(&dry(), &[reply(Reply::Duplicate)]).is_err());
    assert!(run(&listing(Pricing::Custom), &[reply(Reply::DryRunOk)]).is_err());
}

#[test]
fn nobody_is_asked_for_what_is_free() {
    for pricing in [Pricing::Free, Pricing::Byol] {
        assert_eq!(run(&listing(pricing), &[throttled()]).unwrap().proof(), Proof::Unasked);
    }
}

#[test]
fn each_refusal_of_register_usage_has_its_exit_and_advice() {
    let fail = |error: AskError| run(&listing(Pricing::Hourly), &[Act::Fail(error)]).unwrap_err().exit().message();
    let code = |code: &str| code.to_owned();
    insta::assert_snapshot!(fail(AskError::NotEntitled { code: code("CustomerNotEntitledException") }), @r"
    tollgate-host: not entitled (exit 77)
      what : AWS says that this account is not entitled to the product: CustomerNotEntitledException
      cause: the AWS account of this task or pod has no active subscription to the product, or to another of its listings
      next : subscribe in AWS Marketplace with this very account; if you are subscribed, choose the listing you subscribed to with TOLLGATE_LISTING. Then start a new task or pod
    ");
    insta::assert_snapshot!(fail(AskError::Platform { code: code("PlatformNotSupportedException") }), @r"
    tollgate-host: platform not supported (exit 76)
      what : AWS does not accept calls from this platform: PlatformNotSupportedException
      cause: the credentials are not those of an ECS task role or an EKS service account (IRSA); EKS Pod Identity, node roles and access keys are not supported by AWS Marketplace
      next : ECS: give the task definition a taskRoleArn. EKS: annotate the service account with eks.amazonaws.com/role-arn
    ");
    insta::assert_snapshot!(fail(AskError::Region { code: code("InvalidRegionException") }), @r"
    tollgate-host: platform not supported (exit 76)
      what : AWS does not accept calls from this region: InvalidRegionException
      cause: AWS_REGION names another region than the one the task or pod runs in, or AWS Marketplace does not offer metered containers in this region
      next : do not set AWS_REGION or AWS_DEFAULT_REGION in the task definition, the pod or the image; if nothing sets it, run in another region
    ");
    insta::assert_snapshot!(fail(AskError::Listing { code: code("InvalidPublicKeyVersionException") }), @r"
    tollgate-host: listing refused (exit 78)
      what : AWS refused the listing: RegisterUsage said InvalidPublicKeyVersionException
      cause: AWS does not know the public key version the manifest asks for
      next : nothing the buyer can do: the vendor must correct product.toml (compare it with the product's page in the AWS Marketplace Management Portal) and publish a new image
    ");
    insta::assert_snapshot!(fail(AskError::Listing { code: code("SomethingNewException") }), @r"
    tollgate-host: listing refused (exit 78)
      what : AWS refused the listing: RegisterUsage said SomethingNewException
      cause: this host does not know this answer
      next : send this message to the vendor, with the RegisterUsage event from CloudTrail
    ");
    insta::assert_snapshot!(fail(AskError::Denied { code: code("AccessDeniedException") }), @r#"
    tollgate-host: listing refused (exit 78)
      what : AWS refused the role of this task or pod: RegisterUsage said AccessDeniedException
      cause: the role of the task or pod has no permission for aws-marketplace:RegisterUsage, or its trust policy does not let this workload take it
      next : attach the managed policy AWSMarketplaceMeteringRegisterUsage, or allow aws-marketplace:RegisterUsage on resource "*", to the task role (not the execution role) or the IRSA role (not the node role)
    "#);
    insta::assert_snapshot!(fail(AskError::Denied { code: code("InvalidIdentityToken") }), @r"
    tollgate-host: listing refused (exit 78)
      what : AWS refused the role of this task or pod: RegisterUsage said InvalidIdentityToken
      cause: STS did not accept the service account's token for the role
      next : check the trust policy of the IRSA role: OIDC provider of this cluster, namespace and service account
    ");
    insta::assert_snapshot!(fail(AskError::Denied { code: code("ExpiredTokenException") }), @r"
    tollgate-host: listing refused (exit 78)
      what : AWS refused the role of this task or pod: RegisterUsage said ExpiredTokenException
      cause: the clock of this machine is off by minutes, or something between here and AWS changed the request
      next : set the clock of the machine (chrony, Amazon Time Sync), then start again
    ");
}

#[test]
fn each_refusal_of_a_zero_record_has_its_exit() {
    let exit = |reply: Reply| run(&listing(Pricing::Custom), &[Act::Reply(reply)]).unwrap_err().exit();
    let refused = |code: &str| Reply::Refused { code: code.into() };
    let unprocessed = |code: &str| Reply::NotProcessed { code: code.into() };
    for (reply, code) in [
        (Reply::NotEntitled { code: "CustomerNotEntitledException".into() }, 77),
        (refused("PlatformNotSupportedException"), 76),
        (refused("InvalidEndpointRegionException"), 76),
        (refused("InvalidUsageDimensionException"), 78),
        (refused("InvalidProductCodeException"), 78),
        (refused("TimestampOutOfBoundsException"), 78),
        (refused("SomethingNewException"), 78),
        (Reply::InvalidTags { code: "InvalidTagException".into() }, 78),
        (unprocessed("AccessDeniedException"), 78),
        (unprocessed("UnauthorizedException"), 78),
        (unprocessed("InvalidIdentityToken"), 78),
        (unprocessed("ThrottlingException"), 71),
    ] {
        assert_eq!(exit(reply.clone()).why.code(), code, "{reply:?}");
    }
    insta::assert_snapshot!(exit(unprocessed("AccessDeniedException")).message(), @r#"
    tollgate-host: listing refused (exit 78)
      what : AWS refused the role of this task or pod: MeterUsage said AccessDeniedException
      cause: the role of the task or pod has no permission for aws-marketplace:MeterUsage, or its trust policy does not let this workload take it
      next : attach the managed policy AWSMarketplaceMeteringFullAccess, or allow aws-marketplace:MeterUsage on resource "*", to the task role (not the execution role) or the IRSA role (not the node role)
    "#);
    insta::assert_snapshot!(exit(refused("InvalidUsageDimensionException")).message(), @r"
    tollgate-host: listing refused (exit 78)
      what : AWS refused the listing: MeterUsage said InvalidUsageDimensionException
      cause: the product has no dimension with this API key; manifests often carry the display name instead
      next : nothing the buyer can do: the vendor must correct product.toml (compare it with the product's page in the AWS Marketplace Management Portal) and publish a new image
    ");
}
