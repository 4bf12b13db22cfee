use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RSA_PSS_SHA384, RsaEncoding};

use super::*;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());
static OTHER: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

const HEADER: &str = r#"{"alg":"PS256","typ":"JWT"}"#;
const CLAIMS: &str = r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-1","iat":1000000}"#;

/// The public key in the form of the portal.
pub(crate) fn pem(key: &KeyPair) -> String {
    let der: PublicKeyX509Der<'_> = aws_lc_rs::signature::KeyPair::public_key(key).as_der().unwrap();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der.as_ref()))
}

/// A token as AWS makes it.
pub(crate) fn sign(key: &KeyPair, claims: &str) -> String {
    token(key, &RSA_PSS_SHA256, HEADER.as_bytes(), claims.as_bytes())
}

fn token(key: &KeyPair, how: &'static dyn RsaEncoding, header: &[u8], claims: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(how, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn expected() -> Expected<'static> {
    Expected { product_code: "abc", public_key_version: 1, nonce: "n-1", now_s: 1_000_000 }
}

fn check(token: &str) -> Result<(), NotGenuine> {
    verify(token, &pem(&KEY), &expected())
}

fn with_header(header: &str) -> Result<(), NotGenuine> {
    check(&token(&KEY, &RSA_PSS_SHA256, header.as_bytes(), CLAIMS.as_bytes()))
}

fn with_claims(claims: &str) -> Result<(), NotGenuine> {
    check(&sign(&KEY, claims))
}

#[test]
fn a_genuine_token_is_believed() {
    check(&sign(&KEY, CLAIMS)).unwrap();
    with_claims(r#"{"ProductCode":"abc","PublicKeyVersion":1,"Nonce":"n-1"}"#).unwrap();
    with_claims(r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-1","PublicKeyRotationTimestamp":null}"#)
        .unwrap();
    with_header(r#"{"alg":"PS256"}"#).unwrap();
}

#[test]
fn every_other_header_is_refused() {
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None","typ":"JWT"}"#,
        r#"{"alg":"NONE","typ":"JWT"}"#,
        r#"{"alg":"HS256","typ":"JWT"}"#,
        r#"{"alg":"RS256","typ":"JWT"}"#,
        r#"{"alg":"PS384","typ":"JWT"}"#,
        r#"{"alg":"PS512","typ":"JWT"}"#,
        r#"{"alg":"ES256","typ":"JWT"}"#,
        r#"{"alg":"ps256","typ":"JWT"}"#,
        r#"{"alg":["PS256"],"typ":"JWT"}"#,
        r#"{"alg":null,"typ":"JWT"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"PS256","alg":"PS256","typ":"JWT"}"#,
        r#"{"alg":"none","alg":"PS256","typ":"JWT"}"#,
        r#"{"alg":"PS256","typ":"JWS"}"#,
        r#"{"alg":"PS256","typ":"JWT","crit":["exp"]}"#,
        r#"{"alg":"PS256","typ":"JWT","jwk":{"kty":"RSA"}}"#,
        r#"{"alg":"PS256","typ":"JWT","jku":"https://evil.example/keys"}"#,
        r#"{"alg":"PS256","typ":"JWT","x5u":"https://evil.example/cert"}"#,
        r#"{"alg":"PS256","typ":"JWT","x5c":["MII"]}"#,
        r#"{"alg":"PS256","typ":"JWT","kid":"../../dev/null"}"#,
        r#"["alg","PS256"]"#,
        r#"{"alg":"PS256"}{"alg":"PS256"}"#,
        "PS256",
    ] {
        assert!(matches!(with_header(header), Err(NotGenuine::Header(_))), "{header}: {:?}", with_header(header));
    }
}

#[test]
fn a_signature_of_another_kind_or_key_is_refused() {
    let claims = CLAIMS.as_bytes();
    let forged = |key: &KeyPair, how| token(key, how, HEADER.as_bytes(), claims);
    assert_eq!(check(&forged(&OTHER, &RSA_PSS_SHA256)), Err(NotGenuine::Signature));
    assert_eq!(check(&forged(&KEY, &RSA_PKCS1_SHA256)), Err(NotGenuine::Signature));
    assert_eq!(check(&forged(&KEY, &RSA_PSS_SHA384)), Err(NotGenuine::Signature));
    // HS256 keyed with the public PEM, under a header that says PS256: a MAC is no RSA signature.
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(CLAIMS));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, pem(&KEY).as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
    assert_eq!(check(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))), Err(NotGenuine::Signature));
    // The signature of one token under the claims of another.
    let (mine, theirs) = (sign(&KEY, CLAIMS), sign(&KEY, r#"{"productCode":"abc"}"#));
    let signature = theirs.rsplit('.').next().unwrap();
    assert_eq!(check(&format!("{}.{signature}", &mine[..mine.rfind('.').unwrap()])), Err(NotGenuine::Signature));
}

/// Made by OpenSSL over the same header and claims: a 1024-bit key, and salts other than 32 bytes.
#[test]
fn short_keys_and_other_salts_are_refused() {
    let fixtures = include_str!("fixtures.txt");
    let [short_pem, short_token, salt_pem, salt_0, salt_20, salt_32] =
        fixtures.split("\n\n").map(str::trim).collect::<Vec<_>>()[..]
    else {
        panic!("six fixtures")
    };
    assert_eq!(verify(short_token, short_pem, &expected()), Err(NotGenuine::Key));
    assert!(!is_usable_key(short_pem));
    assert_eq!(verify(salt_0, salt_pem, &expected()), Err(NotGenuine::Signature));
    assert_eq!(verify(salt_20, salt_pem, &expected()), Err(NotGenuine::Signature));
    assert_eq!(verify(salt_32, salt_pem, &expected()), Ok(()));
}

#[test]
fn a_flipped_bit_in_any_byte_is_refused() {
    let token = sign(&KEY, CLAIMS);
    for index in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(check(&changed).is_err(), "byte {index}, bit {bit} of {token}");
        }
    }
}

#[test]
fn every_other_shape_is_refused() {
    let good = sign(&KEY, CLAIMS);
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    for token in [
        String::new(),
        "..".into(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!("{good}=="),
        format!("{header}=.{payload}.{signature}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{header}. {payload}.{signature}"),
        good.replace(['-', '_'], "+"),
        format!("{header}.{payload}.{}", STANDARD.encode([0xff; 256])),
        format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX)),
    ] {
        assert!(matches!(check(&token), Err(NotGenuine::Shape(_))), "{token}: {:?}", check(&token));
    }
}

#[test]
fn claims_that_are_not_exactly_ours_are_refused() {
    for (claims, why) in [
        (r#"{"productCode":"abcd","publicKeyVersion":1,"nonce":"n-1"}"#, "product code"),
        (r#"{"productCode":"ABC","publicKeyVersion":1,"nonce":"n-1"}"#, "product code"),
        (r#"{"productCode":"abc","publicKeyVersion":2,"nonce":"n-1"}"#, "public key version"),
        (r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-0"}"#, "nonce"),
        (r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-"}"#, "nonce"),
        (r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-12"}"#, "nonce"),
        (r#"{"productCode":"abc","publicKeyVersion":1,"nonce":""}"#, "nonce"),
    ] {
        let error = with_claims(claims).unwrap_err();
        assert!(matches!(error, NotGenuine::Mismatch(what) if what == why), "{claims}: {error}");
    }
}

#[test]
fn claims_that_are_unclear_are_refused() {
    for claims in [
        "{}",
        "null",
        "[]",
        r#"{"productCode":"abc","publicKeyVersion":1}"#,
        r#"{"productCode":"abc","nonce":"n-1"}"#,
        r#"{"publicKeyVersion":1,"nonce":"n-1"}"#,
        r#"{"productCode":"abc","publicKeyVersion":"1","nonce":"n-1"}"#,
        r#"{"productCode":"abc","publicKeyVersion":1.0,"nonce":"n-1"}"#,
        r#"{"productCode":"abc","publicKeyVersion":-1,"nonce":"n-1"}"#,
        r#"{"productCode":"abc","publicKeyVersion":true,"nonce":"n-1"}"#,
        r#"{"productCode":["abc"],"publicKeyVersion":1,"nonce":"n-1"}"#,
        r#"{"productCode":"abc","publicKeyVersion":1,"nonce":null}"#,
        r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-1","iat":"1000000"}"#,
        r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-1","iat":null}"#,
        r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-1","nonce":"n-1"}"#,
        r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-0","nonc\u0065":"n-1"}"#,
        r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-1","x":1,"x":2}"#,
        r#"{"ProductCode":"abc","publicKeyVersion":1,"nonce":"n-1"}"#,
        r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-1","Nonce":"n-0"}"#,
        r#"{"productcode":"abc","publickeyversion":1,"nonce":"n-1"}"#,
        r#"{"productCode":"abc","publicKeyVersion":1,"nonce":"n-1"} x"#,
    ] {
        assert!(matches!(with_claims(claims), Err(NotGenuine::Claims(_))), "{claims}: {:?}", with_claims(claims));
    }
    let not_utf8 = token(&KEY, &RSA_PSS_SHA256, HEADER.as_bytes(), b"{\"productCode\":\"ab\xff\"}");
    assert!(matches!(check(&not_utf8), Err(NotGenuine::Claims(_))));
}

#[test]
fn a_token_from_another_time_is_refused() {
    let at = |iat: u64| with_claims(&CLAIMS.replace("1000000", &iat.to_string()));
    assert_eq!(at(1_000_000 - 3600), Ok(()));
    assert_eq!(at(1_000_000 + 3600), Ok(()));
    assert_eq!(at(1_000_000 - 3601), Err(NotGenuine::Time(3601)));
    assert_eq!(at(1_000_000 + 3601), Err(NotGenuine::Time(3601)));
    assert_eq!(at(0), Err(NotGenuine::Time(1_000_000)));
}

#[test]
fn a_damaged_key_is_told_as_such() {
    let good = pem(&KEY);
    for key in ["", "abc", &good.replace("PUBLIC", "PRIVATE"), &format!("{good}{good}"), &good.replace("MII", "MIJ")] {
        assert_eq!(verify(&sign(&KEY, CLAIMS), key, &expected()), Err(NotGenuine::Key), "{key}");
        assert!(!is_usable_key(key));
    }
    assert!(is_usable_key(&good));
}
