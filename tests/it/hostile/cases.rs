//! The cases: what is asked of the guest, and how many units it counts on the way.

use bytes::Bytes;
use hyper::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tollgate_cli::host::Host;
use tollgate_cli::http::Http;

/// Names of the network of the test whose addresses are no guest's business.
pub(super) const INWARD: [&str; 18] = [
    "imds",
    "imds6",
    "ecs",
    "pod",
    "pod6",
    "mapped",
    "compatible",
    "nat64",
    "six-to-four",
    "teredo",
    "loopback",
    "loopback6",
    "private",
    "shared",
    "multicast",
    "zero",
    "mixed",
    "nobody",
];

/// One attack.
pub(super) struct Case {
    attack: Attack,
    /// Only that the host bears it counts.
    untold: bool,
    /// Units of `images` that have to be billed for it.
    pub(super) images: u64,
    /// Requests that have to be billed for it.
    pub(super) requests: u64,
}

enum Attack {
    /// Asks the guest, once or so many times one after the other; the different answers are told.
    Ask(String, u32),
    Post(String, usize),
    /// Bytes from the client, and the status line of the answer.
    Raw(Vec<u8>),
    /// A client that asks for a long answer and never reads it.
    SlowReader,
    /// A client that promises a body and sends one byte of it.
    SlowWriter,
}

impl Case {
    fn ask(path: impl Into<String>) -> Self {
        Self { attack: Attack::Ask(path.into(), 1), untold: false, images: 0, requests: 1 }
    }

    fn times(path: &str, times: u32) -> Self {
        Self { attack: Attack::Ask(path.into(), times), untold: false, images: 0, requests: times.into() }
    }

    fn refused(attack: Attack) -> Self {
        Self { attack, untold: false, images: 0, requests: 0 }
    }

    fn counting(self, images: u64) -> Self {
        Self { images, ..self }
    }

    /// What the client sees in the end.
    pub(super) async fn run(&self, host: &Host) -> String {
        let said = self.attack.run(host).await;
        if self.untold { "borne".to_owned() } else { said }
    }
}

impl Attack {
    async fn run(&self, host: &Host) -> String {
        match self {
            Self::Ask(path, times) => {
                let mut answers = Vec::new();
                for _ in 0..*times {
                    answers.push(told(Http::http1().get(&host.url(&format!("/hostile/{path}"))).await));
                }
                answers.sort();
                answers.dedup();
                answers.join(" or ")
            }
            Self::Post(path, bytes) => {
                let url = host.url(&format!("/hostile/{path}"));
                told(Http::http1().send(Method::POST, &url, &[], Bytes::from(vec![7; *bytes])).await)
            }
            Self::Raw(bytes) => {
                let mut stream = TcpStream::connect(host.listen).await.unwrap();
                // The host may have heard enough before the end.
                let _ = stream.write_all(bytes).await;
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer).await;
                String::from_utf8_lossy(&answer).lines().next().unwrap_or("closed").to_owned()
            }
            Self::SlowReader => {
                let mut stream = TcpStream::connect(host.listen).await.unwrap();
                stream.write_all(b"GET /hostile/flood?mib=512 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
                let mut start = [0; 12];
                stream.read_exact(&mut start).await.unwrap();
                // Held open until the guest is gone, which in_flight tells.
                host.in_flight(0).await.unwrap();
                format!("{}, and the guest is gone", String::from_utf8_lossy(&start))
            }
            Self::SlowWriter => {
                let mut stream = TcpStream::connect(host.listen).await.unwrap();
                let head =
                    b"POST /hostile/swallow HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n1";
                stream.write_all(head).await.unwrap();
                let mut answer = String::new();
                let _ = stream.read_to_string(&mut answer).await;
                answer.lines().next().unwrap_or("closed").to_owned()
            }
        }
    }
}

fn told(reply: Result<tollgate_cli::http::Reply, tollgate_cli::http::NoReply>) -> String {
    match reply {
        Ok(reply) if reply.status == 200 => reply.text().trim_end().replace('\n', " "),
        Ok(reply) => reply.status.to_string(),
        Err(_) => "cut off".to_owned(),
    }
}

fn named(prefix: &str, items: &[&str], case: impl Fn(&str) -> Case) -> Vec<(String, Case)> {
    items.iter().map(|item| (format!("{prefix} {item}"), case(item))).collect()
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn get(url: &str) -> Case {
    Case::ask(format!("get?url={}", escaped(url)))
}

/// Ways to the metadata and credentials of the platform, to this machine and its neighbours.
pub(super) fn addresses() -> Vec<(String, Case)> {
    spelled().into_iter().chain(by_name_and_socket()).chain(around()).collect()
}

fn spelled() -> Vec<(String, Case)> {
    named(
        "get",
        &[
            "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
            "http://169.254.170.2/v2/credentials/task",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::254]/latest/meta-data/",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://0xa9.0xfe.0xa9.0xfe/",
            "http://0251.0376.0251.0376/",
            "http://025177524776/",
            "http://169.254.43518/",
            "http://169.16689662/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::]/",
            "http://169.254.169.254./",
            "http://public.test@169.254.169.254/",
            "http://169.254.169.254:80@public.test/",
            "http://127.0.0.1:9080/usage",
            "http://localhost:9080/metrics",
            "http://0/",
            "http://public.test:8080/",
            "https://other.test/",
            "ftp://public.test/",
            "http://PUBLIC.test/",
            "http://public.test/",
            "http://six.test/",
        ],
        get,
    )
}

fn by_name_and_socket() -> Vec<(String, Case)> {
    let mut all = named("by name", &INWARD, |name| get(&format!("http://{name}.test/")));

    let connect = |verb: &'static str| move |to: &str| Case::ask(format!("{verb}?to={}", escaped(to)));
    let sockets = ["169.254.169.254:80", "169.254.170.2:80", "[fd00:ec2::254]:80", "127.0.0.1:9080", "1.2.3.4:80"];
    all.extend(named("tcp", &sockets, connect("connect")));
    all.extend(named("udp", &["169.254.169.254:53", "[fd00:ec2::253]:53"], connect("send")));
    all
}

/// Around the walls: by what comes back, by a method, by a body, by files and variables.
fn around() -> Vec<(String, Case)> {
    let one = |name: &str, case: Case| (name.to_owned(), case);
    vec![
        one("a name that changes its mind", Case::times(&format!("get?url={}", escaped("http://flip.test/")), 12)),
        one("a redirect to the metadata", follow("http://public.test/to/http://169.254.169.254/latest/")),
        one("a redirect to a name with the metadata's address", follow("http://public.test/to/http://imds.test/")),
        one("a redirect to itself", follow("http://public.test/to/http://public.test/")),
        one("a tunnel", Case::ask(format!("get?method=CONNECT&url={}", escaped("http://public.test/")))),
        one(
            "a smuggled header in the method",
            Case::ask(format!(
                "get?method={}&url={}",
                escaped("GET / HTTP/1.1\r\nhost: x"),
                escaped("http://public.test/")
            )),
        ),
        one("TLS with a server that has none", get("https://public.test/")),
        one("an answer over the limit", get("http://public.test/big")),
        one("an answer with a head of a megabyte", get("http://public.test/bomb")),
        one(
            "a request body over the limit",
            Case::ask(format!("get?method=POST&send=4194304&url={}", escaped("http://public.test/silent"))),
        ),
        one("a listening socket", Case::ask("listen")),
        one("a name lookup", Case::ask("resolve?name=imds.test")),
        one("variables", Case::ask("env")),
        one("the account file", Case::ask("read?path=/etc/passwd")),
        one("the host's own environment", Case::ask("read?path=/proc/self/environ")),
        one("the ledger", Case::ask("read?path=/var/lib/tollgate")),
        one("a file of its own", Case::ask("write?path=/tmp/mine")),
    ]
}

fn follow(url: &str) -> Case {
    Case::ask(format!("follow?url={}", escaped(url)))
}

/// More than there is for one guest.
pub(super) fn shares() -> Vec<(String, Case)> {
    let one = |name: &str, case: Case| (name.to_owned(), case);
    let head =
        |fields: &str| format!("GET /hostile/ok HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{fields}\r\n").into_bytes();
    let many: String = (0..1000).map(|n| format!("x-{n}: v\r\n")).collect();
    vec![
        one("memory", Case::ask("memory")),
        one("stack", Case::ask("stack")),
        one("handles", Case::ask("handles?n=1000000")),
        one("header fields without end", Case::ask("fields")),
        one("randomness", Case::ask("random?mib=64")),
        one("a response with 10000 fields", Case::ask("headers?n=10000&size=100")),
        one("a trap", Case::ask("trap")),
        one("a panic", Case::ask("panic?text=%1b[31m")),
        one("an exit", Case::ask("exit")),
        one("no response", Case::ask("no-response")),
        one("usage, then a trap", Case::ask("add-then-trap?n=5").counting(5)),
        one("tag sets, many", Case::ask("tag-sets?n=20000")),
        one("usage over the cap", Case::ask("add?dim=capped&n=4294967295&times=3")),
        one("numbers nobody handed out", Case::ask("numbers")),
        one("an unknown dimension", Case::ask("dimension?key=no-such")),
        one("a dimension with an empty name", Case::ask("dimension?key=")),
        one("a dimension with a name of 1 MiB", Case::ask("long-key?mib=1")),
        one("a dimension with a name of 16 MiB", Case::ask("long-key?mib=16")),
        one("escapes and forged lines in the log", Case::ask("log-hostile")),
        one("a line of a mebibyte", Case::ask("log?mib=1&line=1048576")),
        one("a body over the limit", Case::refused(Attack::Post("swallow".into(), (1 << 20) + 1))),
        one("a thousand header fields", Case::refused(Attack::Raw(head(&many)))),
        one(
            "a header field of a mebibyte",
            Case::refused(Attack::Raw(head(&format!("x: {}\r\n", "v".repeat(1 << 20))))),
        ),
        one("no HTTP", Case::refused(Attack::Raw(b"\x16\x03\x01\x02\x00 hello\r\n\r\n".to_vec()))),
        one("two lengths", Case::refused(Attack::Raw(head("content-length: 1\r\ncontent-length: 2\r\n")))),
    ]
}

/// Guests and clients that take their time, all at once.
pub(super) fn slow() -> Vec<(String, Case)> {
    let one = |name: &str, case: Case| (name.to_owned(), case);
    let mut all = vec![
        one("an endless loop", Case::ask("loop")),
        one("another", Case::ask("loop")),
        one("usage, then an endless loop", Case::ask("add-then-loop?n=7").counting(7)),
        one("a sleep of an hour", Case::ask("sleep")),
        one("gibibytes of log", Case::ask("log?mib=4000000")),
        one("a server that never answers", Case::ask(format!("get?url={}", escaped("http://public.test/silent")))),
        // At 8080 somebody waits for the end of a head that never comes, so no handshake ends.
        one(
            "a server that never ends its TLS handshake",
            Case::ask(format!("get?connect_ms=1000&url={}", escaped("https://public.test:8080/"))),
        ),
        one("a reader that does not read", Case { attack: Attack::SlowReader, untold: false, images: 0, requests: 1 }),
        one("a writer that does not write", Case { attack: Attack::SlowWriter, untold: false, images: 0, requests: 1 }),
    ];
    // A million sets, in ten parts. Whether they come to their end depends on the machine, so that is left out.
    let part = |part: u32| {
        let sets = Case::ask(format!("tag-sets?n=100000&from={}", part * 100_000));
        (format!("a million tag sets, part {part}"), Case { untold: true, ..sets })
    };
    all.extend((0..10).map(part));
    all
}
