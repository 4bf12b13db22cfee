//! The environment of the process: taken once, then emptied.

use std::collections::BTreeMap;

/// Takes every variable and leaves the environment empty.
///
/// After this the AWS SDK, OpenSSL look-alikes, resolvers and every other library see what a process without any
/// settings sees, whatever the buyer set. Only `RUST_BACKTRACE` stays: it adds to crash reports and leads nothing
/// anywhere. Names that are not UTF-8 are dropped.
///
/// # Panics
/// If there is a second thread: the caller broke the rule, and going on would be undefined behaviour.
#[expect(unsafe_code, reason = "removing variables is unsafe while other threads read them; here is only one")]
pub(super) fn take() -> BTreeMap<String, String> {
    // No /proc: then the caller's word has to do.
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    assert_eq!(threads, 1, "the environment must be taken before the first thread is started");
    let mut taken = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        if name == "RUST_BACKTRACE" {
            continue;
        }
        // SAFETY: `remove_var` races with readers and writers of the environment in other threads. This is the only
        // thread of the process: asserted above, and this function starts none.
        unsafe { std::env::remove_var(&name) };
        if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
            taken.insert(name, value);
        }
    }
    taken
}

/// Variables that lead AWS SDKs, TLS, resolvers, the dynamic linker or HTTP clients elsewhere, by name or by the beginning of the name.
const REDIRECTING: &[&str] = &[
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN*",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_DATA_PATH",
    "AWS_DEFAULTS_MODE",
    "AWS_EC2_METADATA_*",
    "AWS_ENDPOINT_URL*",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_MAX_ATTEMPTS",
    "AWS_NEW_RETRIES_2026",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_RETRY_MODE",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_DISABLE_CLOCK_SKEW_CORRECTION",
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "SMITHY_CLIENT_SDK_CUSTOM_PARTITION",
    "SSLKEYLOGFILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

/// Which of the operator's variables the host ignores although other software would obey them.
pub(super) fn ignored(variables: &BTreeMap<String, String>) -> Vec<String> {
    let redirecting = |name: &str| {
        REDIRECTING.iter().any(|row| match row.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name.eq_ignore_ascii_case(row),
        })
    };
    variables.keys().filter(|name| redirecting(name)).cloned().collect()
}
