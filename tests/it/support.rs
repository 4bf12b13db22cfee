//! What the tests share: guests built once, a lab of emulator and folder, hosts in tasks of their own.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tollgate_cli::build;
use tollgate_cli::control::{Control, Record};
use tollgate_cli::host::{Host, HostCommand};
use tollgate_cli::http::Reply;
use tollgate_cli::process::Ended;
use tollgate_cli::product::Product;
use tollgate_cli::service::Service;

pub(crate) use crate::manifest::METER_HTTP;

/// An hour, and the twenty minutes within which a finished hour is sent, and one more.
pub(crate) const HOUR_AND_SENT_S: u64 = 3600 + 21 * 60;

/// The product code of products that tests write themselves.
pub(crate) const CODE: &str = "code-of-the-test";

/// [`METER_HTTP`] as a command.
pub(crate) fn meter_command() -> String {
    METER_HTTP
        .replace("run = \"http\"\nroute = \"/\"", "run = \"command\"")
        .replace("[[dimension]]\nkey = \"requests\"\nfrom = \"host:requests\"\n", "")
}

/// An emulator, a folder and a product in it.
pub(crate) struct Lab {
    pub(crate) service: Service,
    pub(crate) product: Product,
    pub(crate) folder: TempDir,
}

impl Lab {
    /// One of the examples, on sale and subscribed.
    pub(crate) async fn example(name: &str) -> Self {
        let original = example(name).await;
        let folder = TempDir::new().unwrap();
        let product = original.stage(&folder.path().join("product"), |manifest| manifest).unwrap();
        Self::of(product, folder).await
    }

    /// The guest `meter-http` under this manifest, on sale and subscribed.
    pub(crate) async fn http(manifest: &str) -> Self {
        Self::guest("meter_http.wasm", manifest).await
    }

    /// The guest `meter-command` under this manifest, on sale and subscribed.
    pub(crate) async fn command(manifest: &str) -> Self {
        Self::guest("meter-command.wasm", manifest).await
    }

    /// The guest `meter-later` under this manifest, on sale and subscribed.
    pub(crate) async fn later(manifest: &str) -> Self {
        Self::guest("meter_later.wasm", manifest).await
    }

    async fn guest(component: &str, manifest: &str) -> Self {
        Self::with(&std::fs::read(guest(component).await).unwrap(), manifest).await
    }

    /// Any component under this manifest, on sale and subscribed.
    pub(crate) async fn with(component: &[u8], manifest: &str) -> Self {
        let folder = TempDir::new().unwrap();
        write_product(folder.path(), manifest, component);
        Self::of(Product::read(&folder.path().join("product")).unwrap(), folder).await
    }

    async fn of(product: Product, folder: TempDir) -> Self {
        let service = Service::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        into_the_hour(&service.control).await;
        product.sell(&service.control).await.unwrap();
        Self { service, product, folder }
    }

    pub(crate) fn control(&self) -> &Control {
        &self.service.control
    }

    /// A host in a new task.
    pub(crate) async fn host(&self) -> HostCommand {
        let task = self.control().task("ecs").await.unwrap();
        host_command(&self.service, &task, &self.product.folder, &self.ledger())
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    /// Lets an hour pass and waits until all that was counted in it is accepted.
    pub(crate) async fn hour_passes(&self, host: &mut Host) {
        self.control().advance(HOUR_AND_SENT_S).await.unwrap();
        host.settled(self.control()).await.unwrap();
    }

    /// Accepted records of what is sold, by dimension and hour.
    pub(crate) async fn records(&self, dimension: &str) -> Vec<Record> {
        let mut records = self.control().truth().await.unwrap().records;
        records.retain(|record| record.dimension == dimension);
        records.sort_by(|a, b| a.hour.cmp(&b.hour));
        records
    }

    /// What AWS would bill of a dimension.
    pub(crate) async fn billed(&self, dimension: &str) -> u64 {
        self.control().truth().await.unwrap().billed.get(dimension).copied().unwrap_or(0)
    }
}

pub(crate) fn host_command(
    service: &Service,
    task: &tollgate_cli::control::Task,
    product: &Path,
    ledger: &Path,
) -> HostCommand {
    HostCommand::new(Path::new(TOLLGATE), service.control.origin(), task, product, ledger)
}

/// The binary under test.
pub(crate) const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Writes a product whose component is `guest.wasm`.
pub(crate) fn write_product(folder: &Path, manifest: &str, component: &[u8]) {
    let product = folder.join("product");
    std::fs::create_dir_all(&product).unwrap();
    std::fs::write(product.join("product.toml"), manifest).unwrap();
    std::fs::write(product.join("guest.wasm"), component).unwrap();
}

/// Moves the clock forward to five minutes after the beginning of an hour, so that no test crosses its end by chance.
async fn into_the_hour(control: &Control) {
    let now_s = control.clock().await.unwrap().now_ms / 1000;
    control.set_clock(now_s / 3600 * 3600 + 3900).await.unwrap();
}

/// An example, built.
pub(crate) async fn example(name: &str) -> Product {
    static BUILT: [(&str, OnceCell<()>); 3] = [
        ("thumbnails", OnceCell::const_new()),
        ("log-report", OnceCell::const_new()),
        ("plain-http", OnceCell::const_new()),
    ];
    let product = Product::read(&root().join("examples").join(name)).unwrap();
    let (_, once) = BUILT.iter().find(|(example, _)| *example == name).unwrap();
    once.get_or_init(async || product.build().await.unwrap()).await;
    product
}

/// A guest of the test suite, built.
pub(crate) async fn guest(component: &str) -> PathBuf {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let sources =
        ["hostile.wasm", "meter_http.wasm", "meter-command.wasm", "meter_later.wasm"].map(|file| place.join(file));
    BUILT.get_or_init(async || build::components(&root().join("tests/guests"), &sources).await.unwrap()).await;
    place.join(component)
}

/// What the operator reads: the lines that are not logs, with what differs from run to run replaced.
pub(crate) fn operator_sees(ended: &Ended, lab: &Path) -> String {
    let code = ended.code.map_or_else(|| "a signal".into(), |code| code.to_string());
    let words: Vec<&str> = ended.stderr.lines().filter(|line| !line.starts_with('{')).collect();
    let words = words.join("\n").replace(&lab.display().to_string(), "[folder]");
    format!("{}\n[exit {code}]", without_numbers(&words))
}

/// Ports and process ids are long numbers, tasks long hexadecimal ones; the rest stays.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_alphanumeric() {
            word.push(character);
            continue;
        }
        let number = word.len() > 3 && word.chars().all(|digit| digit.is_ascii_digit());
        let id = word.len() > 20 && word.chars().all(|digit| digit.is_ascii_hexdigit());
        out.push_str(if number || id { "[n]" } else { &word });
        word.clear();
        if character != '\0' {
            out.push(character);
        }
    }
    out
}

/// A request whose body is still to come, so that its guest waits for as long as the test wants.
pub(crate) struct Begun(TcpStream);

impl Begun {
    /// Sends the head, and waits until the host has `in_flight` requests.
    pub(crate) async fn new(host: &Host, path: &str, in_flight: u64) -> Self {
        let mut stream = TcpStream::connect(host.listen).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 4\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        host.in_flight(in_flight).await.unwrap();
        Self(stream)
    }

    /// Sends the body. Returns the response as it is on the wire.
    pub(crate) async fn end(mut self) -> String {
        self.0.write_all(b"body").await.unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

/// The body of a good response.
pub(crate) fn body(reply: Result<Reply, tollgate_cli::http::NoReply>) -> String {
    let reply = reply.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text()
}

/// A file of the examples' own input.
pub(crate) fn sample(path: &str) -> Vec<u8> {
    std::fs::read(root().join("examples").join(path)).unwrap()
}
