//! `tollgate pack`: host, manifest and compiled components in one signed file.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tollgate_host::product::bundle::Bundle;
use tollgate_host::product::bundle::digest::Digest;
use tollgate_host::product::bundle::head::Purpose;
use tollgate_host::product::bundle::key::SigningKey;
use tollgate_host::product::bundle::slot::{self, Kind};
use tollgate_host::product::bundle::write::{self, CompiledComponent, Contents};
use tollgate_host::product::load;
use tollgate_host::product::manifest::{ComponentEntry, FILE_NAME, Manifest, canonical};
use tollgate_host::product::source::Source;
use tollgate_runtime::compile;
use tollgate_runtime::target::Cpu;
use zeroize::Zeroizing;

use crate::arguments::Pack;
use crate::host_binary;
use crate::image::elf;
use crate::interrupt;
use crate::product::Product;
use crate::trouble::{Result, Trouble};
use crate::words::{self, Progress};

/// Builds, compiles, signs, checks and only then puts the file in its place.
///
/// # Errors
/// Key, product or host cannot be used, a component is refused, or the file cannot be written.
pub async fn run(arguments: Pack) -> Result<()> {
    let key = signing_key(&arguments.key)?;
    let product = Product::read(&arguments.product)?;
    let cpu = cpu(&arguments.cpu)?;
    interrupt::or(product.build()).await?;
    let p3 = product.manifest.components.iter().try_fold(false, |p3, entry| Ok::<_, Trouble>(p3 | is_p3(entry)?))?;
    let host = interrupt::or(host_binary::find(arguments.host.as_deref(), p3)).await?;
    let host = read_host(&host, cpu, arguments.lab, p3)?;
    let contents = contents(&product, cpu, arguments.preview)?;
    let file = write::write(host, contents, &key).map_err(|error| no_host(&error.to_string()))?;
    put(&file, &arguments.output)?;
    words::good(&format!(
        "{} {} for {cpu}: {} ({} KiB), signed by {}",
        product.name(),
        if arguments.preview { "preview" } else { "product" },
        arguments.output.display(),
        file.len().div_ceil(1024),
        key.public()
    ));
    if arguments.preview {
        words::detail(
            "run it once as an ECS task in us-east-1 in the account that owns the listing; it prints record ids",
        );
    }
    Ok(())
}

/// Reads a secret key.
///
/// # Errors
/// The file cannot be read, or is something else.
pub fn signing_key(path: &Path) -> Result<SigningKey> {
    let text = std::fs::read_to_string(path).map_err(|error| Trouble::file("read", path, &error))?;
    let text = Zeroizing::new(text);
    SigningKey::from_pem(&text).ok_or_else(|| {
        Trouble::new(
            format!("{} is not an Ed25519 secret key in PEM (PKCS#8)", path.display()),
            "it is the public key, an encrypted one, or of another kind",
            "make one with `tollgate keygen FILE`, or with `openssl genpkey -algorithm ed25519`",
        )
    })
}

fn cpu(name: &str) -> Result<Cpu> {
    let known: Vec<&str> = Cpu::ALL.iter().map(|cpu| cpu.name()).collect();
    let unknown = || Trouble::new(format!("{name:?} is no processor; known are {}", known.join(", ")), "", "");
    let cpu = Cpu::named(name).ok_or_else(unknown)?;
    let missing = cpu.missing_here();
    if missing.is_empty() {
        return Ok(cpu);
    }
    Err(Trouble::new(
        format!("code for {cpu} cannot be checked here: this machine lacks {}", missing.join(", ")),
        "what is packed is loaded once as a host would, so that a buyer's host refuses nothing",
        "pack on a machine that has it, or choose an older processor with --cpu",
    ))
}

fn is_p3(entry: &ComponentEntry) -> Result<bool> {
    let bytes = load::read(entry).map_err(|error| refused(&error.to_string()))?;
    compile::is_p3(&bytes, &entry.id).map_err(|error| refused(&format!("{error}\nfile: {}", entry.source.display())))
}

fn read_host(path: &Path, cpu: Cpu, lab: bool, p3: bool) -> Result<Vec<u8>> {
    let host = std::fs::read(path).map_err(|error| Trouble::file("read", path, &error))?;
    let kind = slot::kind(&host).map_err(|error| no_host(&format!("{}: {error}", path.display())))?;
    if p3 && kind == (Kind::Production { p3: false }) {
        return Err(Trouble::new(
            format!("{} does not run components of WASI 0.3, and the product has one", path.display()),
            "the engine has it as an experiment, so a host runs them only if it was built for it",
            "leave --host out, or build it so: cargo build --release -p tollgate-host --features p3",
        ));
    }
    if kind == Kind::Lab && !lab {
        return Err(Trouble::new(
            format!("{} is not the production host: it has a compiler in it and can be led elsewhere", path.display()),
            "it is `tollgate` itself, or a host from a build of the whole workspace",
            "leave --host out, or build the host alone: cargo build --release -p tollgate-host",
        ));
    }
    if elf::architecture(&host) != Some(cpu.architecture()) {
        return Err(Trouble::new(
            format!("{} is not for {}, and the product would be for {cpu}", path.display(), cpu.architecture()),
            "host and components run in one process, so they are for one architecture",
            "name a host of that architecture, or choose a processor of the host's with --cpu",
        ));
    }
    Ok(host)
}

fn no_host(what: &str) -> Trouble {
    Trouble::new(
        format!("the host cannot be used: {what}"),
        "it is another program, of another version, or packed already",
        "name a tollgate-host of this version that carries no product",
    )
}

fn contents(product: &Product, cpu: Cpu, preview: bool) -> Result<Contents> {
    let path = product.folder.join(FILE_NAME);
    let text = std::fs::read_to_string(&path).map_err(|error| Trouble::file("read", &path, &error))?;
    let odd = || Trouble::new(format!("{} has changed while it was packed", path.display()), "", "pack again");
    let spelt = canonical(&text).ok_or_else(odd)?;
    let mut keys = BTreeMap::new();
    for name in spelt.key_files {
        let file = product.folder.join(&name);
        let key = std::fs::read_to_string(&file).map_err(|error| Trouble::file("read", &file, &error))?;
        keys.insert(name, key);
    }
    Manifest::packed(&spelt.text, &keys).map_err(|_| odd())?;
    Ok(Contents {
        purpose: if preview { Purpose::Preview } else { Purpose::Product },
        cpu,
        product: product.name().to_owned(),
        manifest: spelt.text,
        keys,
        components: if preview { Vec::new() } else { compiled(product, cpu)? },
    })
}

fn compiled(product: &Product, cpu: Cpu) -> Result<Vec<CompiledComponent>> {
    let progress = Progress::start(&format!("compiling for {cpu}"));
    let mut components = Vec::new();
    for entry in &product.manifest.components {
        progress.step(&entry.id);
        let bytes = load::read(entry).map_err(|error| refused(&error.to_string()))?;
        let source = Digest::of(&bytes);
        let code = compile::compile(cpu, &bytes, &entry.id)
            .map_err(|error| refused(&format!("{error}\nfile: {}", entry.source.display())))?;
        components.push(CompiledComponent { id: entry.id.clone(), code, source });
    }
    let bytes: usize = components.iter().map(|component| component.code.len()).sum();
    progress.done(&format!("{} component(s), {} KiB of code", components.len(), bytes.div_ceil(1024)));
    Ok(components)
}

fn refused(what: &str) -> Trouble {
    Trouble::fails(format!("a component is refused, and nothing was written:\n{what}"), "", "")
}

/// Opens and links what was written as a host would; only then the file gets its name.
fn put(bytes: &[u8], output: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Trouble::file("write", output, &error);
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let program = std::fs::Permissions::from_mode(0o755);
    let mut file = tempfile::Builder::new().permissions(program).tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    let bundle = Bundle::of(file.path()).map_err(|error| refused(&error.to_string()))?;
    if !bundle.is_preview() {
        load::admit(&Source::from(bundle)).map_err(|error| refused(&format!("{error:#}")))?;
    }
    file.persist(output).map(|_| ()).map_err(|error| failed(error.error))
}
