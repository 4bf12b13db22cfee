//! The signed reply to the entitlement question: any token is believed only if it says what was asked for. Never a panic.
//!
//! The first byte chooses: the rest is a whole token, or the claims of one that is signed with the right key, or its header.
//! True: it was believed.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tokio::runtime::Runtime;
use tollgate_host::clock::Clock;
use tollgate_host::entitlement::{self, Ask};
use tollgate_host::marketplace::{Answer, AskError, Marketplace, MeterUsage, RegisterUsage, Registered};
use tollgate_host::product::manifest::{Listing, Manifest};
use tollgate_metering::Reply;

const HEADER: &[u8] = br#"{"alg":"PS256","typ":"JWT"}"#;
/// The random numbers of this test are zeros.
const NONCE: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const MANIFEST: &str = r#"
[product]
name = "guest"
version = "1.0.0"

[[listing]]
id = "hourly"
product_code = "abc"
pricing = "hourly"
public_keys = { 1 = "key.pem" }

[[component]]
id = "api"
source = "guest.wasm"
run = "http"
route = "/"
"#;

struct Buyer {
    runtime: Runtime,
    key: KeyPair,
    listing: Listing,
}

static BUYER: LazyLock<Buyer> = LazyLock::new(Buyer::new);

/// AWS with one answer.
struct Scripted(String);

impl Marketplace for Scripted {
    async fn register_usage(&self, _: RegisterUsage) -> Result<Registered, AskError> {
        Ok(Registered { signature: self.0.clone(), rotation: None })
    }

    async fn meter_usage(&self, _: MeterUsage) -> Answer {
        Answer { reply: Reply::Unknown { detail: "nobody asks".into() }, date: None }
    }
}

pub(crate) fn run(bytes: &[u8]) -> bool {
    let Some((&how, rest)) = bytes.split_first() else { return false };
    let claims = format!(r#"{{"productCode":"abc","publicKeyVersion":1,"nonce":"{NONCE}"}}"#);
    let (token, said) = match how % 3 {
        0 => (String::from_utf8_lossy(rest).into_owned(), None),
        1 => (BUYER.sign(HEADER, rest), Some((HEADER, rest))),
        _ => (BUYER.sign(rest, claims.as_bytes()), Some((rest, claims.as_bytes()))),
    };
    if !BUYER.believes(token) {
        return false;
    }
    let (header, claims) = said.expect("nobody but AWS can sign");
    assert!(is_ps256(header) && is_what_was_asked(claims), "{:?}", String::from_utf8_lossy(rest));
    true
}

fn is_ps256(header: &[u8]) -> bool {
    let header: serde_json::Value = serde_json::from_slice(header).unwrap();
    header["alg"] == "PS256"
}

fn is_what_was_asked(claims: &[u8]) -> bool {
    let claims: serde_json::Value = serde_json::from_slice(claims).unwrap();
    let says = |code: &str, version: &str, nonce: &str| {
        claims[code] == "abc" && claims[version] == 1 && claims[nonce] == NONCE
    };
    says("productCode", "publicKeyVersion", "nonce") || says("ProductCode", "PublicKeyVersion", "Nonce")
}

impl Buyer {
    fn new() -> Self {
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key.pem"), pem).unwrap();
        let mut manifest = Manifest::parse(MANIFEST, folder.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { runtime, listing: manifest.listings.remove(0), key }
    }

    fn sign(&self, header: &[u8], claims: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn believes(&self, token: String) -> bool {
        let ask = Ask {
            product: "guest",
            listing: &self.listing,
            keys: None::<&BTreeMap<u32, String>>,
            start_budget: Duration::from_secs(1),
            provisional_since: None,
        };
        let mut zeros = |buffer: &mut [u8]| buffer.fill(0);
        let nobody = async || Answer { reply: Reply::Unknown { detail: "nobody asks".into() }, date: None };
        let (aws, clock) = (Scripted(token), Clock::system());
        let asked = entitlement::ask(&aws, &ask, &clock, &mut zeros, nobody);
        self.runtime.block_on(asked).is_ok()
    }
}
