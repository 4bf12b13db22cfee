//! The signed reply of `RegisterUsage`: a compact JWS, verified by our own strict rules.
//!
//! One algorithm, one shape, nothing negotiable: the token says what it is, but we know what it must be. The key is
//! chosen by the version we asked for, never by anything inside the token. It knows no clock and no network.
//!
//! Source: APIReference `RegisterUsage`; claim names in camelCase as AWS's own sample and shipping products read them,
//! in PascalCase as the prose shows them.

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

mod json;

use json::Object;

/// A genuine token is below 2 KiB.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How far `iat` may be from our clock. AWS refuses requests signed with a clock minutes off, so this is generous; what
/// makes a token fresh is the nonce.
const IAT_DISTANCE_S_MAX: u64 = 3600;

/// What the token must say.
#[derive(Clone, Debug)]
pub(crate) struct Expected<'a> {
    /// The product code we asked for.
    pub(crate) product_code: &'a str,
    /// The key version we asked for.
    pub(crate) public_key_version: u32,
    /// The nonce of this very request.
    pub(crate) nonce: &'a str,
    /// Now, in unix seconds.
    pub(crate) now_s: u64,
}

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGenuine {
    /// The key in the manifest is not a PEM public key.
    #[error("the public key in the manifest is not an RSA public key of 2048 to 8192 bits in PEM form")]
    Key,
    /// Not a compact JWS of three base64url parts within 8 KiB.
    #[error("the token is not a compact JWS: {0}")]
    Shape(&'static str),
    /// The header is not exactly `alg` = PS256 and, at most, `typ` = JWT.
    #[error("the token's header is not that of a PS256 JWT: {0}")]
    Header(String),
    /// The signature does not match the key.
    #[error("the token's signature does not match the product's public key")]
    Signature,
    /// A claim is missing, of the wrong type, or named twice.
    #[error("the token's claims are not readable: {0}")]
    Claims(String),
    /// A claim says something else than we asked for.
    #[error("the token's {0} is not the one that was asked for")]
    Mismatch(&'static str),
    /// `iat` is more than an hour from our clock.
    #[error("the token's iat is {0} s away from the clock of this machine")]
    Time(u64),
}

/// Believes `token` or says why not.
pub(crate) fn verify(token: &str, public_key_pem: &str, expected: &Expected<'_>) -> Result<(), NotGenuine> {
    let key = der(public_key_pem).ok_or(NotGenuine::Key)?;
    if token.len() > TOKEN_BYTES_MAX {
        return Err(NotGenuine::Shape("over 8 KiB"));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        return Err(NotGenuine::Shape("not three parts"));
    };
    let signed = &token[..header.len() + 1 + payload.len()];
    let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
    // Before the signature: a wrong algorithm deserves its own words.
    check_header(&header)?;
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| if usable(&key) { NotGenuine::Signature } else { NotGenuine::Key })?;
    check_claims(&payload, expected)
}

/// Whether `pem` can verify anything; for the manifest, so that the vendor learns it before the buyer.
pub(crate) fn is_usable_key(pem: &str) -> bool {
    der(pem).is_some_and(|der| usable(&der))
}

/// Strictly base64url: no padding, no other alphabet, no bits left over, not empty.
fn decode(part: &str) -> Result<Vec<u8>, NotGenuine> {
    match URL_SAFE_NO_PAD.decode(part) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        Ok(_) => Err(NotGenuine::Shape("an empty part")),
        Err(_) => Err(NotGenuine::Shape("a part is not unpadded base64url")),
    }
}

fn check_header(header: &[u8]) -> Result<(), NotGenuine> {
    let mut header = Object::parse(header).map_err(NotGenuine::Header)?;
    if header.take_text("alg").map_err(NotGenuine::Header)?.as_deref() != Some("PS256") {
        return Err(NotGenuine::Header("alg is not PS256".into()));
    }
    match header.take_text("typ").map_err(NotGenuine::Header)?.as_deref() {
        None | Some("JWT") => {}
        Some(_) => return Err(NotGenuine::Header("typ is not JWT".into())),
    }
    // crit, jwk, jku, x5u, x5c, kid: each is a way to choose the key or the rules from inside the token.
    match header.names().next() {
        None => Ok(()),
        Some(name) => Err(NotGenuine::Header(format!("{name:?} is not expected"))),
    }
}

fn check_claims(payload: &[u8], expected: &Expected<'_>) -> Result<(), NotGenuine> {
    const CAMEL: [&str; 3] = ["productCode", "publicKeyVersion", "nonce"];
    const PASCAL: [&str; 3] = ["ProductCode", "PublicKeyVersion", "Nonce"];
    let mut claims = Object::parse(payload).map_err(NotGenuine::Claims)?;
    let present = |names: [&str; 3]| names.iter().filter(|name| claims.has(name)).count();
    let [code, version, nonce] = match (present(CAMEL), present(PASCAL)) {
        (_, 0) => CAMEL,
        (0, _) => PASCAL,
        _ => return Err(NotGenuine::Claims("camelCase and PascalCase are mixed".into())),
    };
    let missing = |name: &str| NotGenuine::Claims(format!("{name} is missing"));
    let product_code = claims.take_text(code).map_err(NotGenuine::Claims)?.ok_or_else(|| missing(code))?;
    let key_version = claims.take_count(version).map_err(NotGenuine::Claims)?.ok_or_else(|| missing(version))?;
    let said_nonce = claims.take_text(nonce).map_err(NotGenuine::Claims)?.ok_or_else(|| missing(nonce))?;
    if product_code != expected.product_code {
        return Err(NotGenuine::Mismatch("product code"));
    }
    if key_version != u64::from(expected.public_key_version) {
        return Err(NotGenuine::Mismatch("public key version"));
    }
    if said_nonce != expected.nonce {
        return Err(NotGenuine::Mismatch("nonce"));
    }
    match claims.take_count("iat").map_err(NotGenuine::Claims)?.map(|iat| iat.abs_diff(expected.now_s)) {
        Some(distance_s) if distance_s > IAT_DISTANCE_S_MAX => Err(NotGenuine::Time(distance_s)),
        _ => Ok(()),
    }
}

/// The DER inside a PEM public key: one block, nothing else.
fn der(pem: &str) -> Option<Vec<u8>> {
    let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(body).ok()
}

fn usable(der: &[u8]) -> bool {
    aws_lc_rs::rsa::PublicEncryptingKey::from_der(der).is_ok_and(|key| (2048..=8192).contains(&key.key_size_bits()))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{pem, sign};
