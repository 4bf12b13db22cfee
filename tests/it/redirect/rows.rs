//! Everything that leads software to another server: variables, profile files, libraries, names. Each row has a client
//! that obeys it when nothing else is set.
//!
//! In values and files `{ip}` is the trap, `{n}` the number of the row, `{dir}` a folder of its own, `{python}` an
//! interpreter, `{ca}` the certificate of the buyer's own authority, `{library}` code that calls the trap when it is loaded.

/// Who obeys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// The AWS SDK for Rust as it comes, in this process's own program.
    Rust,
    /// boto3 as it comes.
    Boto,
    /// Any program with a dynamic linker.
    Dynamic,
}

/// What the client signs with, and so what it asks for first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signs {
    Keys,
    /// A role for the token of a service account, from STS.
    Token,
    /// What it finds by itself: the instance's role.
    Nothing,
}

pub(super) struct Row {
    /// Told when it fails.
    pub(super) what: &'static str,
    pub(super) set: Vec<(&'static str, &'static str)>,
    /// Path and content.
    pub(super) files: Vec<(&'static str, String)>,
    pub(super) client: Client,
    pub(super) signs: Signs,
    /// Another trap than that of the row.
    pub(super) trap: Option<&'static str>,
    /// DNS leads to the trap, which has a certificate of the buyer's authority for the name.
    pub(super) forged: bool,
    /// The client is told its region; else the row itself does.
    pub(super) region: Option<&'static str>,
    /// On EKS it is an input of the host's.
    pub(super) task_only: bool,
}

fn row(what: &'static str, set: &[(&'static str, &'static str)]) -> Row {
    Row {
        what,
        set: set.to_vec(),
        files: Vec::new(),
        client: Client::Rust,
        signs: Signs::Keys,
        trap: None,
        forged: false,
        region: Some("us-case-{n}"),
        task_only: false,
    }
}

impl Row {
    /// Nothing is set.
    pub(super) fn plain() -> Self {
        row("nothing", &[])
    }

    fn by(self, client: Client) -> Self {
        Self { client, ..self }
    }

    fn signing(self, signs: Signs) -> Self {
        Self { signs, ..self }
    }

    fn trapped_at(self, trap: &'static str) -> Self {
        Self { trap: Some(trap), ..self }
    }

    fn forged(self) -> Self {
        Self { forged: true, region: Some("us-forged-{n}"), ..self }
    }

    fn with(mut self, path: &'static str, content: impl Into<String>) -> Self {
        self.files.push((path, content.into()));
        self
    }
}

/// A variable alone.
fn variable(name: &'static str, value: &'static str) -> Row {
    row(name, &[(name, value)])
}

/// A profile file alone.
fn profile(what: &'static str, content: impl Into<String>) -> Row {
    row(what, &[("AWS_CONFIG_FILE", "{dir}/config")]).with("config", content)
}

pub(super) fn all() -> Vec<Row> {
    [endpoints(), profiles(), metadata(), tls(), proxies(), names_and_libraries()].into_iter().flatten().collect()
}

fn endpoints() -> Vec<Row> {
    let url = "http://{ip}";
    vec![
        variable("AWS_ENDPOINT_URL", url),
        variable("AWS_ENDPOINT_URL_MARKETPLACE_METERING", url),
        variable("AWS_ENDPOINT_URL_STS", url).signing(Signs::Token),
        variable("AWS_USE_FIPS_ENDPOINT", "true"),
        variable("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        Row { region: None, task_only: true, ..variable("AWS_REGION", "us-elsewhere-{n}") },
        Row { region: None, task_only: true, ..variable("AWS_DEFAULT_REGION", "us-elsewhere-{n}") },
        Row { region: Some("us-east-1"), ..variable("AWS_STS_REGIONAL_ENDPOINTS", "legacy") }
            .by(Client::Boto)
            .signing(Signs::Token)
            .trapped_at("127.6.0.250"),
        variable("SMITHY_CLIENT_SDK_CUSTOM_PARTITION", "{dir}/partitions.json").with(
            "partitions.json",
            r#"{"version":"1.1","partitions":[{"id":"aws","regionRegex":"^us-.*$","regions":{},"outputs":{"name":"aws","dnsSuffix":"{n}.trap.test","dualStackDnsSuffix":"{n}.trap.test","supportsFIPS":false,"supportsDualStack":false,"implicitGlobalRegion":"us-east-1"}}]}"#,
        ),
        variable("AWS_DATA_PATH", "{dir}").by(Client::Boto).with(
            "meteringmarketplace/2016-01-14/endpoint-rule-set-1.json",
            r#"{"version":"1.0","parameters":{"Region":{"builtIn":"AWS::Region","required":false,"type":"String"},"UseDualStack":{"builtIn":"AWS::UseDualStack","required":true,"default":false,"type":"Boolean"},"UseFIPS":{"builtIn":"AWS::UseFIPS","required":true,"default":false,"type":"Boolean"},"Endpoint":{"builtIn":"SDK::Endpoint","required":false,"type":"String"}},"rules":[{"conditions":[],"endpoint":{"url":"http://{ip}","properties":{},"headers":{}},"type":"endpoint"}]}"#,
        ),
    ]
}

fn profiles() -> Vec<Row> {
    let sts = "services = trap\n[services trap]\nsts =\n  endpoint_url = http://{ip}\n";
    let keys = "[profile keys]\naws_access_key_id = AKIATRAP\naws_secret_access_key = s\n";
    let role = "[default]\nrole_arn = arn:aws:iam::111122223333:role/trap\n";
    vec![
        profile("profile: endpoint_url", "[default]\nendpoint_url = http://{ip}\n"),
        profile(
            "profile: endpoint of the service",
            "[default]\nservices = trap\n[services trap]\nmarketplace-metering =\n  endpoint_url = http://{ip}\n",
        ),
        profile("profile: endpoint of STS", format!("[default]\n{sts}")).signing(Signs::Token),
        profile("profile: a role taken with keys", format!("{role}source_profile = keys\n{sts}{keys}"))
            .signing(Signs::Nothing),
        profile("profile: a role taken with a token", format!("{role}web_identity_token_file = {{dir}}/token\n{sts}"))
            .with("token", "a token")
            .signing(Signs::Nothing),
        profile("profile: FIPS", "[default]\nuse_fips_endpoint = true\n"),
        profile("profile: dual stack", "[default]\nuse_dualstack_endpoint = true\n"),
        Row { region: None, ..profile("profile: region", "[default]\nregion = us-elsewhere-{n}\n") },
        profile("profile: a program for credentials", "[default]\ncredential_process = {python} {dir}/program.py\n")
            .with("program.py", "import urllib.request\nurllib.request.urlopen('http://{ip}')\n")
            .by(Client::Boto)
            .signing(Signs::Nothing),
        row("AWS_SHARED_CREDENTIALS_FILE", &[("AWS_SHARED_CREDENTIALS_FILE", "{dir}/credentials")])
            .with("credentials", "[default]\nendpoint_url = http://{ip}\n"),
        row("HOME: config", &[("HOME", "{dir}")]).with(".aws/config", "[default]\nendpoint_url = http://{ip}\n"),
        row("HOME: credentials", &[("HOME", "{dir}")])
            .with(".aws/credentials", "[default]\nendpoint_url = http://{ip}\n"),
        row("AWS_PROFILE", &[("AWS_PROFILE", "trap"), ("AWS_CONFIG_FILE", "{dir}/config")])
            .with("config", "[profile trap]\nendpoint_url = http://{ip}\n"),
        row("AWS_DEFAULT_PROFILE", &[("AWS_DEFAULT_PROFILE", "trap"), ("AWS_CONFIG_FILE", "{dir}/config")])
            .with("config", "[profile trap]\nendpoint_url = http://{ip}\n")
            .by(Client::Boto),
        Row {
            region: Some("us-east-1"),
            ..profile("profile: STS of old", "[default]\nsts_regional_endpoints = legacy\n")
        }
        .by(Client::Boto)
        .signing(Signs::Token)
        .trapped_at("127.6.0.250"),
    ]
}

fn metadata() -> Vec<Row> {
    let instance = "169.254.169.254";
    vec![
        variable("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://{ip}").signing(Signs::Nothing),
        variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6").signing(Signs::Nothing).trapped_at("fd00:ec2::254"),
        profile("profile: instance metadata", "[default]\nec2_metadata_service_endpoint = http://{ip}\n")
            .signing(Signs::Nothing),
        profile("profile: instance metadata by IPv6", "[default]\nec2_metadata_service_endpoint_mode = IPv6\n")
            .signing(Signs::Nothing)
            .trapped_at("fd00:ec2::254"),
        profile(
            "profile: a role taken with that of the instance",
            "[default]\nrole_arn = arn:aws:iam::111122223333:role/trap\ncredential_source = Ec2InstanceMetadata\n\
             ec2_metadata_service_endpoint = http://{ip}\n",
        )
        .signing(Signs::Nothing),
        variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://{ip}/credentials").signing(Signs::Nothing),
        variable("AWS_DEFAULTS_MODE", "auto").by(Client::Boto).trapped_at(instance),
        profile("profile: defaults mode", "[default]\ndefaults_mode = auto\n").by(Client::Boto).trapped_at(instance),
    ]
}

fn tls() -> Vec<Row> {
    vec![
        variable("SSL_CERT_FILE", "{ca}").forged(),
        // The name is the hash by which OpenSSL looks certificates up; others read every file.
        variable("SSL_CERT_DIR", "{dir}").with("0a1b2c3d.0", "{ca:text}").forged(),
        variable("AWS_CA_BUNDLE", "{ca}").by(Client::Boto).forged(),
        variable("REQUESTS_CA_BUNDLE", "{ca}").by(Client::Boto).forged(),
        profile("profile: CA bundle", "[default]\nca_bundle = {ca}\n").by(Client::Boto).forged(),
    ]
}

fn proxies() -> Vec<Row> {
    let url = "http://{ip}:80";
    vec![
        variable("HTTPS_PROXY", url),
        variable("https_proxy", url),
        variable("ALL_PROXY", url),
        variable("all_proxy", url),
        variable("HTTP_PROXY", url).signing(Signs::Nothing),
        variable("http_proxy", url).signing(Signs::Nothing),
        row("ALL_PROXY for metadata", &[("ALL_PROXY", url)]).signing(Signs::Nothing),
        row("HTTPS_PROXY for boto3", &[("HTTPS_PROXY", url)]).by(Client::Boto),
        row("https_proxy for boto3", &[("https_proxy", url)]).by(Client::Boto),
    ]
}

fn names_and_libraries() -> Vec<Row> {
    let called = "127.6.0.251";
    vec![
        // In a pod a name of fewer than five dots is looked for below the search domains first.
        variable("LOCALDOMAIN", "{n}.trap.test"),
        row("LOCALDOMAIN for boto3", &[("LOCALDOMAIN", "{n}.trap.test")]).by(Client::Boto),
        variable("LD_PRELOAD", "{library}").by(Client::Dynamic).trapped_at(called),
        variable("LD_AUDIT", "{library}").by(Client::Dynamic).trapped_at(called),
    ]
}
