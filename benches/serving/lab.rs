//! The emulator, the components, and the products that the host serves.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tollgate_cli::arguments::{Keygen, Pack};
use tollgate_cli::host::{Host, HostCommand};
use tollgate_cli::host_binary::{self, Profile, Program};
use tollgate_cli::product::Product;
use tollgate_cli::service::Service;
use tollgate_cli::trouble::Result;
use tollgate_cli::{build, keygen, pack};

use super::{failed, root};

/// Sold by the request, which the host counts, and by what the guest counts. Each response waits for the disk.
pub(crate) const METERED: &str = r#"
[[listing]]
id = "paid"
product_code = "CODE"
pricing = "custom"
entitlement_dimension = "start"

[[dimension]]
key = "start"
from = "guest"

[[dimension]]
key = "images"
from = "guest"

[[dimension]]
key = "requests"
from = "host:requests"
"#;

/// Nothing is counted, so nothing waits.
pub(crate) const UNMETERED: &str = r#"
[[listing]]
id = "gratis"
product_code = "CODE"
pricing = "free"
"#;

/// One component, and room for what the load generators do.
pub(crate) const COMPONENT: &str = r#"
[[component]]
id = "api"
source = "guest.wasm"
run = "http"
route = "/"

[limits]
request_timeout_s = 120
"#;

/// How a host is built and run: as shipped, unless this says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way<'a> {
    /// Another build.
    pub(crate) host: Option<&'a Path>,
    /// What of this program the host is started by.
    pub(crate) surroundings: Option<&'static str>,
}

pub(crate) struct Lab {
    service: Service,
    folder: TempDir,
    /// The host of `host.rs`; packed, it is what is measured.
    host: PathBuf,
    /// A component that has never heard of Tollgate.
    pub(crate) plain: PathBuf,
    /// The same, counting one unit a request.
    pub(crate) counted: PathBuf,
    /// The same two for WASI 0.3.
    pub(crate) later: PathBuf,
    pub(crate) later_counted: PathBuf,
    /// The example without its meter.
    pub(crate) thumbnails: PathBuf,
}

impl Lab {
    pub(crate) async fn start() -> Result<Self> {
        // A folder of the working copy is on a disk; /tmp may not be.
        let folder = tempfile::tempdir_in(root().join("benches")).expect("a folder for the ledgers");
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("serving");
        let files = ["hello", "hello_counted", "hello_later", "hello_later_counted", "thumbnails_uncounted"]
            .map(|name| place.join(format!("{name}.wasm")));
        build::components(&root().join("benches/guests"), &files).await?;
        let [plain, counted, later, later_counted, thumbnails] = files;
        keygen::run(&Keygen { file: folder.path().join("vendor.pem") })?;
        let host = host_binary::build(&root(), Program::Bench("host"), Profile::Release, true).await?;
        let service = Service::start(([127, 0, 0, 1], 0).into()).await?;
        Ok(Self { service, folder, host, plain, counted, later, later_counted, thumbnails })
    }

    /// The disk of the ledgers.
    pub(crate) fn disk(&self) -> &Path {
        self.folder.path()
    }

    /// Packs a product of this manifest without its head, and starts its host.
    pub(crate) async fn host(&self, name: &str, manifest: &str, component: &Path, way: Way<'_>) -> Result<Host> {
        let place = self.folder.path().join(name);
        let written = std::fs::create_dir(&place).and_then(|()| {
            let head = format!("[product]\nname = \"{name}\"\nversion = \"1.0.0\"\n");
            std::fs::write(place.join("product.toml"), head + &manifest.replace("CODE", name))?;
            std::fs::copy(component, place.join("guest.wasm")).map(drop)
        });
        written.map_err(|error| failed("cannot write the product", error))?;
        self.serve(&Product::read(&place)?, name, way).await
    }

    /// Packs a product and starts its host.
    pub(crate) async fn serve(&self, product: &Product, name: &str, way: Way<'_>) -> Result<Host> {
        let packed = self.folder.path().join(format!("{name}-packed"));
        let arguments = Pack {
            product: product.folder.clone(),
            key: self.folder.path().join("vendor.pem"),
            output: packed.clone(),
            host: Some(way.host.unwrap_or(&self.host).to_owned()),
            cpu: "x86-64-v3".to_owned(),
            preview: false,
            lab: true,
        };
        pack::run(arguments).await?;
        product.announce(&self.service.control).await?;
        for listing in &product.manifest.listings {
            self.service.control.subscribe(&listing.product_code, true).await?;
        }
        let task = self.service.control.task("ecs").await?;
        let ledger = self.folder.path().join(format!("{name}-ledger"));
        let program = match way.surroundings {
            Some(surroundings) => self.wrapped(&packed, surroundings)?,
            None => packed.clone(),
        };
        // A program that carries its product is told nothing about it.
        HostCommand::new(&program, self.service.control.origin(), &task, &program, &ledger).serve().await
    }

    /// A program that becomes the packed one in other surroundings.
    fn wrapped(&self, packed: &Path, surroundings: &str) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let script = packed.with_extension("sh");
        let own = std::env::current_exe().map_err(|error| failed("cannot find this program", error))?;
        let text = format!("#!/bin/sh\nexec {} {surroundings} {} \"$@\"\n", own.display(), packed.display());
        let written = std::fs::write(&script, text)
            .and_then(|()| std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)));
        written.map_err(|error| failed("cannot write the wrapper", error))?;
        Ok(script)
    }

    pub(crate) async fn stop(self) {
        self.service.stop().await;
    }
}
