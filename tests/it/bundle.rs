//! One signed file: what is packed runs, and what was changed does not.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tollgate_cli::host::{HostCommand, Started};
use tollgate_cli::host_binary::{self, Profile, Program};
use tollgate_cli::http::Http;
use tollgate_cli::process::{Ended, Input, Process};
use tollgate_host::product::bundle::{Bundle, slot::Slot};

use crate::support::{CODE, Lab, METER_HTTP, TOLLGATE, body, guest, operator_sees, root, sample, write_product};

/// The production host as it is shipped: alone, without a dynamic linker. Optimised a little less.
pub(crate) async fn production_host() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    BUILT.get_or_init(async || host_binary::build(root(), Program::Shipped, Profile::Dev, false).await.unwrap()).await
}

/// The tool. In processes of its own: a file that this process has open for writing cannot be run.
pub(crate) async fn tollgate(arguments: &[&str]) -> Ended {
    let mut command = Command::new(TOLLGATE);
    command.args(arguments);
    Process::start("tollgate", &mut command, Input::Nothing).unwrap().end().await.unwrap()
}

/// Makes a key in `folder`.
pub(crate) async fn key(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let ended = tollgate(&["keygen", text(&path)]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    path
}

/// Packs the product in `product` on `host`.
pub(crate) async fn pack(product: &Path, key: &Path, host: &Path, output: &Path, more: &[&str]) -> Ended {
    let named = ["pack", text(product), "--key", text(key), "--host", text(host), "-o", text(output)];
    tollgate(&[named.as_slice(), more].concat()).await
}

/// The guest `meter-http` under this manifest, packed in `folder` on the production host with the key `vendor.pem`.
pub(crate) async fn ship(folder: &Path, manifest: &str) -> PathBuf {
    write_product(folder, manifest, &std::fs::read(guest("meter_http.wasm").await).unwrap());
    let (key, program) = (key(folder, "vendor.pem").await, folder.join("packed"));
    let ended = pack(&folder.join("product"), &key, production_host().await, &program, &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    program
}

/// Packs a product for the lab: on the tool itself, which holds the host library.
pub(crate) async fn packed(product: &Path, folder: &Path) -> PathBuf {
    let (key, output) = (key(folder, "vendor.pem").await, folder.join("packed"));
    let ended = pack(product, &key, Path::new(TOLLGATE), &output, &["--lab"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    output
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A host in a new task that runs what it carries.
pub(crate) async fn carrying(lab: &Lab, program: &Path) -> HostCommand {
    let task = lab.control().task("ecs").await.unwrap();
    HostCommand::new(program, lab.control().origin(), &task, program, &lab.ledger())
}

#[tokio::test]
async fn a_packed_product_serves_and_what_it_serves_is_billed() {
    let lab = Lab::example("thumbnails").await;
    let program = packed(&lab.product.folder, lab.folder.path()).await;
    // Nothing but the program is needed.
    std::fs::remove_dir_all(&lab.product.folder).unwrap();
    let mut host = carrying(&lab, &program).await.serve().await.unwrap();
    for _ in 0..3 {
        let picture = sample("thumbnails/samples/picture.jpg").into();
        let url = host.url("/?width=64");
        let reply = Http::http1().send(hyper::Method::POST, &url, &[], picture).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    lab.hour_passes(&mut host).await;
    assert_eq!(lab.billed("images").await, 3);
    assert_eq!(host.process.stop().await.unwrap().code, Some(0));
}

#[tokio::test]
async fn without_a_subscription_a_packed_product_is_not_loaded_either() {
    let lab = Lab::http(METER_HTTP).await;
    let program = packed(&lab.product.folder, lab.folder.path()).await;
    lab.control().subscribe(CODE, false).await.unwrap();
    let Started::Ended(ended) = carrying(&lab, &program).await.run().await.unwrap() else { panic!("it serves") };
    assert_eq!(ended.code, Some(77), "{}", ended.stderr);
}

#[tokio::test]
async fn a_payload_runs_on_a_host_of_the_tests_too() {
    let lab = Lab::http(METER_HTTP).await;
    let bundle = packed(&lab.product.folder, lab.folder.path()).await;
    let task = lab.control().task("ecs").await.unwrap();
    let command = HostCommand::new(Path::new(TOLLGATE), lab.control().origin(), &task, &bundle, &lab.ledger());
    let host = command.serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/add?n=5")).await), "counted");
}

/// Each byte of head and trailer, and bytes all over the code: nothing is opened that differs from what was packed.
#[tokio::test]
async fn no_byte_of_a_packed_product_can_be_changed() {
    let lab = Lab::example("thumbnails").await;
    let program = packed(&lab.product.folder, lab.folder.path()).await;
    let slot = Slot::of(&std::fs::read(&program).unwrap()).unwrap().unwrap();
    let file = File::options().read(true).write(true).open(&program).unwrap();
    let good = Bundle::open(&file, slot.clone()).unwrap();
    let length = file.metadata().unwrap().len();
    let code = good.head.host.bytes;
    let head = length - 128 - good.head.text().len() as u64;
    // 251 is a prime: the places have nothing to do with pages or parts.
    let sampled = (code..head).step_by(usize::try_from((head - code) / 251).unwrap());
    for at in sampled.chain(head..length) {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ (1 << (at % 8))], at).unwrap();
        let opened = Bundle::open(&file, slot.clone());
        file.write_all_at(&byte, at).unwrap();
        assert!(opened.is_err(), "byte {at} of {length}");
    }
    assert!(Bundle::open(&file, slot).is_ok(), "each byte was put back");
}

/// A packed production host, and what can be done to its file.
struct Shipped {
    folder: TempDir,
    program: PathBuf,
}

impl Shipped {
    async fn new(name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let manifest = METER_HTTP.replace("name = \"guest\"", &format!("name = {name:?}"));
        let program = ship(folder.path(), &manifest).await;
        Self { folder, program }
    }

    /// Where the payload begins, where the head begins, where the file ends.
    fn places(&self) -> (u64, u64, u64) {
        let bundle = Bundle::of(&self.program).unwrap();
        let end = self.program.metadata().unwrap().len();
        (bundle.head.host.bytes, end - 128 - bundle.head.text().len() as u64, end)
    }

    /// Changes the file by a script in which it is `$1`.
    async fn changed(&self, script: &str) {
        let mut command = Command::new("sh");
        command.args(["-euc", script, "sh"]).arg(&self.program);
        let ended = Process::start("sh", &mut command, Input::Nothing).unwrap().end().await.unwrap();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    async fn run(&self) -> Ended {
        let mut command = Command::new(&self.program);
        command.env_clear();
        Process::start("tollgate-host", &mut command, Input::Nothing).unwrap().end().await.unwrap()
    }

    /// What the operator reads when the byte at `at` is another.
    async fn with_another_byte(&self, at: u64) -> String {
        let byte = {
            let mut byte = [0];
            File::open(&self.program).unwrap().read_exact_at(&mut byte, at).unwrap();
            byte[0]
        };
        let write = |byte: u8| format!("printf '\\{byte:03o}' | dd of=\"$1\" bs=1 seek={at} conv=notrunc status=none");
        self.changed(&write(byte ^ 0x10)).await;
        let ended = self.run().await;
        self.changed(&write(byte)).await;
        operator_sees(&ended, self.folder.path())
    }
}

#[tokio::test]
async fn a_changed_file_ends_with_65_and_says_what_was_changed() {
    let shipped = Shipped::new("guest").await;
    let (code, head, end) = shipped.places();
    let mut said = Vec::new();
    for at in [code + 1000, head, head + 40, end - 128, end - 120, end - 112, end - 80, end - 1] {
        let text = shipped.with_another_byte(at).await;
        assert!(text.ends_with("[exit 65]"), "byte {at}: {text}");
        said.push(text);
    }
    insta::assert_snapshot!(said.join("\n\n"));
    // As it was packed it is refused for another reason: here is no task and no pod.
    assert_eq!(shipped.run().await.code, Some(69));
}

#[tokio::test]
async fn a_file_that_was_cut_off_or_never_packed_ends_with_65() {
    let shipped = Shipped::new("guest").await;
    shipped.changed("truncate -s -1 \"$1\"").await;
    let cut = operator_sees(&shipped.run().await, shipped.folder.path());
    let mut bare = Command::new(production_host().await);
    let bare = Process::start("tollgate-host", bare.env_clear(), Input::Nothing).unwrap().end().await.unwrap();
    assert_eq!(operator_sees(&bare, shipped.folder.path()), cut);
    insta::assert_snapshot!(cut);
}

#[tokio::test]
async fn a_payload_of_another_product_or_vendor_does_not_run_on_this_host() {
    let (one, other) = (Shipped::new("guest").await, Shipped::new("guest").await);
    let (start, ..) = one.places();
    assert_eq!(start, other.places().0, "the same host");
    let from = format!("tail -c +{} {}", start + 1, text(&other.program));
    let payload = format!("{from} | dd of=\"$1\" bs=64k iflag=fullblock seek={} conv=notrunc status=none", start >> 16);
    one.changed(&payload).await;
    let ended = one.run().await;
    insta::assert_snapshot!(operator_sees(&ended, one.folder.path()));
}

#[tokio::test]
async fn two_packs_of_the_same_product_are_the_same_file() {
    let lab = Lab::http(METER_HTTP).await;
    let folder = lab.folder.path();
    let key = key(folder, "vendor.pem").await;
    let host = production_host().await;
    for name in ["one", "two"] {
        let ended = pack(&lab.product.folder, &key, host, &folder.join(name), &[]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    assert!(std::fs::read(folder.join("one")).unwrap() == std::fs::read(folder.join("two")).unwrap());
}

#[tokio::test]
async fn what_a_host_would_refuse_is_refused_when_it_is_packed() {
    let folder = TempDir::new().unwrap();
    let component = wat::parse_str(
        r#"(component
            (import "acme:db/query@1.0.0" (instance (export "run" (func))))
            (core module $m (func (export "run") (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $e (export "run" (func $run)))
            (export "wasi:cli/run@0.2.6" (instance $e)))"#,
    );
    write_product(folder.path(), &crate::support::meter_command(), &component.unwrap());
    let (key, output) = (key(folder.path(), "vendor.pem").await, folder.path().join("packed"));
    let product = folder.path().join("product");
    let ended = pack(&product, &key, Path::new(TOLLGATE), &output, &["--lab"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("acme:db/query@1.0.0"), "{}", ended.stderr);
    assert!(!output.exists(), "nothing is written");
    // The tool carries a compiler, and is no host to ship.
    let ended = pack(&product, &key, Path::new(TOLLGATE), &output, &[]).await;
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("is not the production host"), "{}", ended.stderr);
    assert_eq!(pack(&product, &product.join("product.toml"), Path::new(TOLLGATE), &output, &[]).await.code, Some(3));
}

#[tokio::test]
async fn a_key_is_for_its_owner_only_and_never_overwritten() {
    let folder = TempDir::new().unwrap();
    let key = key(folder.path(), "vendor.pem").await;
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&key).unwrap();
    let ended = tollgate(&["keygen", text(&key)]).await;
    assert_eq!(ended.code, Some(3));
    std::fs::remove_file(&key).unwrap();
    assert_eq!(tollgate(&["keygen", text(&key)]).await.code, Some(3), "its public half is still there");
    assert!(!key.exists() && ended.stderr.contains("is there already"), "{}", ended.stderr);
    assert!(!before.is_empty());
}

#[tokio::test]
async fn inspect_shows_and_verify_compares() {
    let lab = Lab::example("thumbnails").await;
    let folder = lab.folder.path();
    let program = packed(&lab.product.folder, folder).await;
    let shown = tollgate(&["inspect", text(&program), "--json"]).await;
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["manifest"]["product"]["name"], "thumbnails");
    assert_eq!((&shown["purpose"], &shown["components"][0]["id"]), (&"product".into(), &"api".into()));
    let verify = async |key: &str| tollgate(&["verify", text(&program), "--key", text(&folder.join(key))]).await;
    assert_eq!(verify("vendor.pem.pub").await.code, Some(0));
    key(folder, "other.pem").await;
    assert_eq!(verify("other.pem.pub").await.code, Some(1));
    // A byte of the host: its own start does not notice, this does.
    let file = File::options().write(true).open(&program).unwrap();
    file.write_all_at(b"x", 100_000).unwrap();
    let ended = verify("vendor.pem.pub").await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("the host is not the one it was packed with"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_preview_build_sends_one_record_of_each_dimension_and_prints_the_ids() {
    let lab = Lab::http(METER_HTTP).await;
    let folder = lab.folder.path();
    let (key, program) = (key(folder, "vendor.pem").await, folder.join("preview"));
    let more = ["--preview", "--lab"];
    let ended = pack(&lab.product.folder, &key, Path::new(TOLLGATE), &program, &more).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(Bundle::of(&program).unwrap().head.components.is_empty(), "there is nothing in it to sell");
    let ended = carrying(&lab, &program).await.start().unwrap().end().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for dimension in ["start", "images", "requests"] {
        let record = &lab.records(dimension).await[0];
        let line = format!("{dimension}\t{}", record.record_id);
        assert!(ended.stdout.lines().any(|said| said == line), "{line}\n{}", ended.stdout);
    }
}

#[tokio::test]
async fn the_preview_is_for_the_account_of_the_listing_in_us_east_1() {
    let lab = Lab::http(METER_HTTP).await;
    let (key, program) = (key(lab.folder.path(), "vendor.pem").await, lab.folder.path().join("preview"));
    pack(&lab.product.folder, &key, Path::new(TOLLGATE), &program, &["--preview", "--lab"]).await;
    lab.control().subscribe(CODE, false).await.unwrap();
    let task = |region: &str| serde_json::json!({ "platform": "ecs", "region": region });
    let run = async |region: &str| {
        let command = crate::place::moved(&lab, carrying(&lab, &program).await, task(region)).await;
        command.start().unwrap().end().await.unwrap()
    };
    let buyer = run("us-east-1").await;
    assert_eq!(buyer.code, Some(77), "{}", buyer.stderr);
    assert!(buyer.stderr.contains("this account does not own the listing"), "{}", buyer.stderr);
    let url = format!("{}/_tollgate/products/{CODE}", lab.control().origin());
    let product = serde_json::json!({
        "pricing": "custom", "dimensions": ["start", "images", "requests"], "publisher": "123456789012",
    });
    let json = [("content-type", "application/json")];
    body(Http::http1().send(hyper::Method::PUT, &url, &json, product.to_string().into()).await);
    let seller = run("us-east-1").await;
    assert_eq!(seller.code, Some(0), "{}", seller.stderr);
    assert_eq!(seller.stdout.lines().count(), 4, "{}", seller.stdout);
    let elsewhere = run("eu-west-1").await;
    assert_eq!(elsewhere.code, Some(76), "{}", elsewhere.stderr);
    assert!(elsewhere.stderr.contains("run it once in us-east-1"), "{}", elsewhere.stderr);
}

#[tokio::test]
async fn a_free_listing_never_unlocks_what_is_paid_for() {
    let lab = Lab::http(METER_HTTP).await;
    let free = "[[listing]]\nid = \"free\"\nproduct_code = \"free-code\"\npricing = \"free\"\n";
    let demo =
        "[[component]]\nid = \"demo\"\nsource = \"guest.wasm\"\nrun = \"http\"\nroute = \"/\"\nlistings = [\"free\"]\n";
    let manifest = METER_HTTP.replace("route = \"/\"", "route = \"/paid\"\nlistings = [\"paid\"]");
    std::fs::write(lab.product.folder.join("product.toml"), format!("{manifest}\n{free}\n{demo}")).unwrap();
    let program = packed(&lab.product.folder, lab.folder.path()).await;
    // Nobody has subscribed to anything.
    lab.control().subscribe(CODE, false).await.unwrap();
    let under = async |listing: &str| carrying(&lab, &program).await.variable("TOLLGATE_LISTING", listing);
    let host = under("free").await.serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/healthz")).await), "ok");
    let paid = Http::http1().get(&host.url("/paid/add?n=1")).await.unwrap();
    assert_ne!(paid.text(), "counted", "the demo answers, or nobody does");
    host.process.stop().await.unwrap();
    for (listing, code) in [("paid", 77), ("cheaper", 64)] {
        let Started::Ended(ended) = under(listing).await.run().await.unwrap() else { panic!("{listing} serves") };
        assert_eq!(ended.code, Some(code), "{listing}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_product_is_not_packed_on_a_host_of_another_architecture() {
    let lab = Lab::http(METER_HTTP).await;
    let (key, host) = (key(lab.folder.path(), "vendor.pem").await, lab.folder.path().join("host"));
    let mut bytes = std::fs::read(production_host().await).unwrap();
    // The machine in the header: RISC-V.
    bytes[0x12] = 243;
    std::fs::write(&host, bytes).unwrap();
    let ended = pack(&lab.product.folder, &key, &host, &lab.folder.path().join("packed"), &[]).await;
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("is not for amd64"), "{}", ended.stderr);
}
