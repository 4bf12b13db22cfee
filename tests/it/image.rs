//! The image of a packed product: what others read in it, and that it runs as a buyer's platform runs it.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tollgate_cli::http::Http;
use tollgate_cli::process::{Ended, Input, Process, Stream};

use crate::bundle::{key, pack, production_host, text, tollgate};
use crate::redirect::{self, Shop};
use crate::support::{Lab, METER_HTTP, TOLLGATE, guest, sample, write_product};

/// What reads and runs images, from Debian.
const TOOLS: [&str; 3] = ["skopeo", "umoci", "runc"];

/// Installs the tools that are not there; that takes root and a Debian mirror.
async fn tools() {
    static THERE: OnceCell<()> = OnceCell::const_new();
    THERE
        .get_or_init(async || {
            let present =
                |tool: &str| ["/usr/bin", "/usr/sbin"].iter().any(|folder| Path::new(folder).join(tool).exists());
            if TOOLS.iter().all(|tool| present(tool)) {
                return;
            }
            // In turn with every other test that uses apt: one that updates its lists deletes, as some images have it,
            // the packages that another is about to unpack.
            let turn = std::env::temp_dir().join("tollgate-apt.lock");
            let install = format!(
                "exec 9>{}; flock 9; export DEBIAN_FRONTEND=noninteractive; apt-get update -qq; \
                 apt-get -o DPkg::Lock::Timeout=600 install -qq -y --no-install-recommends {}",
                turn.display(),
                TOOLS.join(" ")
            );
            done("sh", &["-euc", &install]).await;
        })
        .await;
}

/// Runs a program to its good end.
async fn done(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let ended = Process::start(program, command.args(arguments), Input::Nothing).unwrap().end().await.unwrap();
    assert_eq!(ended.code, Some(0), "{program} {}: {}", arguments.join(" "), ended.stderr);
    ended.stdout
}

/// A packed production host in `folder`.
async fn packed(folder: &Path) -> PathBuf {
    let component = std::fs::read(guest("meter_http.wasm").await).unwrap();
    write_product(folder, METER_HTTP, &component);
    let (key, output) = (key(folder, "vendor.pem").await, folder.join("packed"));
    let ended = pack(&folder.join("product"), &key, production_host().await, &output, &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    output
}

async fn image(program: &Path, output: &Path) {
    let ended = tollgate(&["image", text(program), "-o", text(output)]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn an_image_is_one_program_for_nobody_and_says_so() {
    tools().await;
    let folder = TempDir::new().unwrap();
    let program = packed(folder.path()).await;
    let layout = folder.path().join("image");
    image(&program, &layout).await;
    let inspect = |more: &'static [&'static str]| {
        let from = format!("oci:{}:1.0.0", layout.display());
        async move { done("skopeo", &[&["--insecure-policy", "inspect"], more, &[from.as_str()]].concat()).await }
    };
    let config: Value = serde_json::from_str(&inspect(&["--config"]).await).unwrap();
    let mut labels = config["config"]["Labels"].clone();
    labels["tollgate.signed-by"] = "[key]".into();
    insta::assert_snapshot!(labels);
    let mut config = config["config"].clone();
    config["Labels"] = Value::Null;
    insta::assert_snapshot!(config);
    let seen: Value = serde_json::from_str(&inspect(&[]).await).unwrap();
    assert_eq!((&seen["Architecture"], &seen["Os"], &seen["Env"]), (&"amd64".into(), &"linux".into(), &Value::Null));
    assert_eq!(seen["Layers"].as_array().unwrap().len(), 1);
    // One image and nothing beside it: AWS Marketplace refuses attestations.
    assert_eq!(read(&layout.join("index.json"))["manifests"].as_array().unwrap().len(), 1);
    let headers = done("readelf", &["-lW", text(&program)]).await;
    assert!(!headers.contains("INTERP"), "it would need a dynamic linker:\n{headers}");
}

#[tokio::test]
async fn the_same_product_gives_the_same_image_as_a_folder_and_as_an_archive() {
    tools().await;
    let folder = TempDir::new().unwrap();
    let program = packed(folder.path()).await;
    let path = |name: &str| folder.path().join(name);
    for name in ["one.tar", "two.tar", "one", "two"] {
        image(&program, &path(name)).await;
    }
    assert!(std::fs::read(path("one.tar")).unwrap() == std::fs::read(path("two.tar")).unwrap());
    done("diff", &["-r", text(&path("one")), text(&path("two"))]).await;
    let from = format!("docker-archive:{}", path("one.tar").display());
    let archive: Value = serde_json::from_str(&done("skopeo", &["--insecure-policy", "inspect", &from]).await).unwrap();
    let layer = read(&path("one/index.json"))["manifests"][0]["digest"].as_str().unwrap().replace(':', "/");
    let manifest = read(&path("one/blobs").join(layer));
    assert_eq!(archive["Layers"][0], manifest["layers"][0]["digest"]);
    // What is there is not mixed with something else.
    let ended = tollgate(&["image", text(&program), "-o", text(&path("one"))]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
}

#[tokio::test]
async fn what_the_host_is_made_of_is_read_from_the_image() {
    tools().await;
    let folder = TempDir::new().unwrap();
    let container = Container::of(&packed(folder.path()).await, "1.0.0").await;
    let program = container.bundle().join("rootfs/tollgate-host");
    let sections = done("readelf", &["-SW", text(&program)]).await;
    assert!(sections.contains(" .dep-v0 "), "scanners find the list by this name:\n{sections}");
    let ended = tollgate(&["inspect", "--sbom", text(&program)]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let list: Value = serde_json::from_str(&ended.stdout).unwrap();
    let name = |of: &Value| format!("{} v{}", of["name"].as_str().unwrap(), of["version"].as_str().unwrap());
    let host = &list["metadata"]["component"];
    let listed: BTreeSet<String> = list["components"].as_array().unwrap().iter().chain([host]).map(name).collect();
    assert_eq!(host["name"], "tollgate-host");
    // What cargo says that it links, without the places of local crates.
    let tree = ["tree", "--locked", "--offline", "-p", "tollgate-host", "--prefix", "none"];
    let tree = [tree.as_slice(), &["-e", "normal,no-proc-macro"]].concat();
    let linked = done(env!("CARGO"), &[&["--color", "never"], tree.as_slice()].concat()).await;
    let crates = linked.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    assert_eq!(listed, crates.collect::<BTreeSet<_>>());
    assert!(
        ["rustls", "wasmtime"].iter().all(|wanted| listed.iter().any(|one| one.starts_with(&format!("{wanted} v"))))
    );
    assert!(!listed.iter().any(|one| one.starts_with("cranelift-codegen ")), "{listed:?}");
    assert!(!ended.stdout.contains(text(crate::support::root())), "the same wherever it is built");
    let ended = tollgate(&["inspect", "--sbom", TOLLGATE]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[tokio::test]
async fn a_program_that_an_empty_image_cannot_start_is_refused() {
    let lab = Lab::http(METER_HTTP).await;
    let folder = lab.folder.path();
    let (key, program) = (key(folder, "vendor.pem").await, folder.join("packed"));
    pack(&lab.product.folder, &key, Path::new(TOLLGATE), &program, &["--lab"]).await;
    let ended = tollgate(&["image", text(&program), "-o", text(&folder.join("image"))]).await;
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("an empty image has none"), "{}", ended.stderr);
}

/// An unpacked image, to be run as ECS and Kubernetes run it at their strictest.
struct Container {
    folder: TempDir,
    id: String,
}

impl Container {
    async fn of(program: &Path, tag: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let layout = folder.path().join("image");
        image(program, &layout).await;
        let from = format!("{}:{tag}", layout.display());
        done("umoci", &["unpack", "--image", &from, text(&folder.path().join("bundle"))]).await;
        let ledger = folder.path().join("ledger");
        std::fs::create_dir(&ledger).unwrap();
        std::os::unix::fs::chown(&ledger, Some(65532), Some(65532)).unwrap();
        let id = format!("tollgate-{}", folder.path().file_name().unwrap().display()).replace('.', "");
        Self { folder, id }
    }

    fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    /// Writes how to run: a read-only root, the image's user, no capabilities, the network of this machine, where the
    /// emulator is. `arguments` follow the image's entrypoint; a mount is from where and to where.
    fn configure(&self, arguments: &[&str], environment: &[String], mounts: &[(&str, &str)]) {
        let path = self.bundle().join("config.json");
        let mut config = read(&path);
        let process = &mut config["process"];
        process["terminal"] = false.into();
        process["noNewPrivileges"] = true.into();
        for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
            process["capabilities"][set] = json!([]);
        }
        process["args"].as_array_mut().unwrap().extend(arguments.iter().map(|word| json!(word)));
        process["env"] = json!(environment);
        config["root"]["readonly"] = true.into();
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "network");
        let bind = |from: &str, to: &str, rights: &str| json!({ "type": "bind", "source": from, "destination": to, "options": ["rbind", rights, "nosuid", "nodev"] });
        let all = config["mounts"].as_array_mut().unwrap();
        all.retain(|mount| mount["destination"] != "/var/lib/tollgate");
        all.push(bind(text(&self.folder.path().join("ledger")), "/var/lib/tollgate", "rw"));
        all.extend(mounts.iter().map(|(from, to)| bind(from, to, "ro")));
        std::fs::write(path, config.to_string()).unwrap();
    }

    fn start(&self) -> Process {
        let mut command = Command::new("runc");
        command.args(["--root", text(&self.folder.path().join("state")), "run", "-b", text(&self.bundle()), &self.id]);
        Process::start("runc", &mut command, Input::Nothing).unwrap()
    }
}

/// What a container of an ECS task has, as far as the host reads it.
async fn environment(lab: &Lab) -> Vec<String> {
    let task = lab.control().task("ecs").await.unwrap();
    let origin = lab.control().origin();
    vec![
        format!("ECS_CONTAINER_METADATA_URI_V4={origin}{}", task.metadata_path.unwrap()),
        format!("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI={}", task.credentials_path.unwrap()),
        "TOLLGATE_LISTEN=127.0.0.1:0".into(),
        "TOLLGATE_ADMIN=127.0.0.1:0".into(),
        "TOLLGATE_START_BUDGET=1s".into(),
    ]
}

#[tokio::test]
async fn in_its_image_a_product_serves_and_flushes_everything_on_sigterm() {
    tools().await;
    let lab = Lab::example("thumbnails").await;
    let folder = lab.folder.path();
    // The image of the production host, with the host of the tests in its place: only that one can be told of the
    // emulator. It is not built to stand alone, so the libraries of this machine are lent to it.
    let key = key(folder, "vendor.pem").await;
    let (shipped, composed) = (folder.join("shipped"), folder.join("composed"));
    for (host, output, more) in
        [(production_host().await, &shipped, [].as_slice()), (Path::new(TOLLGATE), &composed, &["--lab"])]
    {
        let ended = pack(&lab.product.folder, &key, host, output, more).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let container = Container::of(&shipped, "1.4.0").await;
    let place = container.bundle().join("rootfs/tollgate-host");
    assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o555);
    std::fs::remove_file(&place).unwrap();
    done("cp", &[text(&composed), text(&place)]).await;
    let origin = lab.control().origin().to_owned();
    container.configure(
        &["lab-host", "--emulator", &origin],
        &environment(&lab).await,
        &["/lib", "/lib64", "/usr/lib"].map(|folder| (folder, folder)),
    );
    let mut process = container.start();
    let ready = |_: Stream, line: &str| {
        let fields = tollgate_cli::host::log_fields(line, "ready")?;
        Some(fields["listen"].as_str()?.to_owned())
    };
    let (listen, _) =
        process.watch(0, ready).await.unwrap().unwrap_or_else(|| panic!("{}", process.text(Stream::Stderr)));
    let picture = sample("thumbnails/samples/picture.jpg").into();
    let url = format!("http://{listen}/?width=64");
    let reply = Http::http1().send(hyper::Method::POST, &url, &[], picture).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    // runc hands the signal on to the program.
    process.signal(Signal::TERM);
    let ended = process.end().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(lab.billed("images").await, 1, "the running hour is sent at the end");
}

#[tokio::test]
async fn in_its_image_the_production_host_does_not_speak_to_the_emulator() {
    tools().await;
    let lab = Lab::http(METER_HTTP).await;
    let program = packed(lab.folder.path()).await;
    let container = Container::of(&program, "1.0.0").await;
    let calls = lab.control().calls_so_far().await.unwrap().1;
    container.configure(&[], &environment(&lab).await, &[]);
    let ended: Ended = container.start().end().await.unwrap();
    assert!(matches!(ended.code, Some(69 | 71)), "{:?}: {}", ended.code, ended.stderr);
    assert_eq!(lab.control().calls_so_far().await.unwrap().1, calls, "the emulator was not asked");
}

/// Where the metadata of ECS is as it should be, and the buyer's hosts file and trust store lead to a server of their own.
#[test]
fn in_its_image_the_production_host_does_not_believe_the_buyers_names_and_authority() {
    const TEST: &str = "image::in_its_image_the_production_host_does_not_believe_the_buyers_names_and_authority";
    const NAME: &str = "metering.marketplace.us-case-1.amazonaws.com";
    // As long as there is a network.
    tokio::runtime::Runtime::new().unwrap().block_on(tools());
    redirect::alone(TEST, "", async || {
        let shop = Shop::open([NAME.to_owned()]).await;
        let hosts = shop.path("hosts");
        std::fs::write(&hosts, format!("127.6.0.252 {NAME}\n")).unwrap();
        let container = Container::of(&shop.program, "1.0.0").await;
        let environment = [
            "ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/us-case-1",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/task",
            "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            "TOLLGATE_START_BUDGET=1s",
        ]
        .map(str::to_owned);
        let store = shop.trust_store();
        container.configure(&[], &environment, &[(text(&hosts), "/etc/hosts"), (text(&store), "/etc/ssl")]);
        let ended = container.start().end().await.unwrap();
        assert_eq!(ended.code, Some(71), "{}", ended.stderr);
        assert!(ended.stderr.contains("not signed by AWS's own authorities"), "{}", ended.stderr);
        assert_eq!(shop.asked(0), ["nothing of 127.6.0.252"]);
    });
}
