use super::*;

fn parse(variables: &[(&str, &str)], args: &[&str]) -> Result<Config, ConfigErrors> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::parse(&variables, args.iter().map(|arg| (*arg).to_owned()))
}

#[test]
fn nothing_set_is_a_whole_configuration() {
    let config = parse(&[], &[]).unwrap();
    insta::assert_debug_snapshot!(config, @r#"
    Config {
        args: [],
        listing: None,
        ledger: "/var/lib/tollgate",
        mounts: None,
        listen: 0.0.0.0:8080,
        admin: 127.0.0.1:9080,
        proxy: None,
        start_budget: 600s,
        grace: 25s,
        log: "info",
        clues: Clues {
            task_metadata: None,
            task_credentials: None,
            role_arn: None,
            token_file: None,
            pod_identity: None,
            region: None,
            default_region: None,
            static_keys: false,
            kubernetes: false,
        },
        ignored: [],
        variables: {},
    }
    "#);
}

#[test]
fn names_every_mistake_at_once() {
    let errors = parse(
        &[
            ("TOLLGATE_LISTEN", "8080"),
            ("TOLLGATE_ADMIN", "localhost:1"),
            ("TOLLGATE_LEDGER", "ledger"),
            ("TOLLGATE_GRACE", "soon"),
            ("TOLLGATE_HTTPS_PROXY", "https://proxy:3128"),
            ("TOLLGATE_START_BUDGET", "99h"),
            ("TOLLGATE_START_BUGDET", "10s"),
            ("TOLLGATE_ENDPOINT", "http://127.0.0.1"),
        ],
        &["--product", "x"],
    )
    .unwrap_err();
    insta::assert_snapshot!(errors.exit().message(), @r#"
    tollgate-host: bad configuration (exit 64)
      what : argument "--product": is not known; usage: tollgate-host [-- ARGUMENTS OF A COMMAND PRODUCT]
             argument "x": is not known; usage: tollgate-host [-- ARGUMENTS OF A COMMAND PRODUCT]
             TOLLGATE_LEDGER: "ledger" is not an absolute path
             TOLLGATE_LISTEN: "8080" is not an address and port such as "0.0.0.0:8080"
             TOLLGATE_ADMIN: "localhost:1" is not an address and port such as "0.0.0.0:8080"
             TOLLGATE_HTTPS_PROXY: "https://proxy:3128" is not a proxy such as "http://proxy.internal:3128": http, a host, a port, and nothing else
             TOLLGATE_START_BUDGET: "99h" is not a duration such as "90s" or "10m"
             TOLLGATE_GRACE: "soon" is not a duration such as "90s" or "10m"
             TOLLGATE_ENDPOINT: is not a variable of the host
             TOLLGATE_START_BUGDET: is not a variable of the host (did you mean "TOLLGATE_START_BUDGET"?)
      next : correct the lines above and start the container again
    "#);
}

#[test]
fn the_bounds_of_durations_are_told() {
    let errors = parse(&[("TOLLGATE_GRACE", "0s"), ("TOLLGATE_START_BUDGET", "61m")], &["--prodct=/x"]).unwrap_err();
    insta::assert_snapshot!(errors, @r#"
    argument "--prodct=/x": is not known; usage: tollgate-host [-- ARGUMENTS OF A COMMAND PRODUCT]
    TOLLGATE_START_BUDGET: "61m" is not between 1s and 3600s
    TOLLGATE_GRACE: "0s" is not between 1s and 3600s
    "#);
}

#[test]
fn what_follows_two_dashes_is_the_products() {
    let config = parse(&[], &["--", "--product", "x", "--"]).unwrap();
    assert_eq!(config.args, ["--product", "x", "--"]);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let config = parse(&[("AWS_REGION", ""), ("TOLLGATE_LISTING", ""), ("TOLLGATE_GRACE", "")], &[]).unwrap();
    assert_eq!(config.clues.region, None);
    assert_eq!(config.listing, None);
    assert_eq!(config.grace, Duration::from_secs(25));
}

#[test]
fn variables_that_would_redirect_other_software_are_named() {
    let config = parse(
        &[
            ("AWS_ENDPOINT_URL_STS", "http://trap"),
            ("AWS_ENDPOINT_URL_MARKETPLACE_METERING", "http://trap"),
            ("SMITHY_CLIENT_SDK_CUSTOM_PARTITION", "/trap.json"),
            ("https_proxy", "http://trap"),
            ("SSL_CERT_FILE", "/trap.pem"),
            ("AWS_REGION", "eu-west-1"),
            ("LOG_LEVEL", "debug"),
        ],
        &[],
    )
    .unwrap();
    insta::assert_snapshot!(config.ignored.join("\n"), @r"
    AWS_ENDPOINT_URL_MARKETPLACE_METERING
    AWS_ENDPOINT_URL_STS
    SMITHY_CLIENT_SDK_CUSTOM_PARTITION
    SSL_CERT_FILE
    https_proxy
    ");
    assert_eq!(config.variable("LOG_LEVEL"), Some("debug"));
}

#[test]
fn values_of_variables_are_not_printed() {
    let config = parse(&[("AWS_SECRET_ACCESS_KEY", "s3cr3t")], &[]).unwrap();
    assert!(!format!("{config:?}").contains("s3cr3t"), "{config:?}");
}
