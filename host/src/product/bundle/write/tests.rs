use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::super::slot::BYTES;
use super::super::{Bundle, Damaged};
use super::*;

const MANIFEST: &str = r#"
[product]
name = "p"
version = "1"
[[listing]]
id = "paid"
product_code = "c"
pricing = "custom"
entitlement = "dry-run"
[[dimension]]
key = "d"
from = "guest"
[[component]]
id = "api"
source = "api.wasm"
run = "http"
route = "/api"
[[component]]
id = "web"
source = "web.wasm"
run = "http"
"#;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_pem(&pkcs8(seed)).unwrap()
}

/// A key that is the same in every run.
fn pkcs8(seed: u8) -> String {
    use base64::Engine as _;
    let mut der = vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    der.extend([seed; 32]);
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

/// As much of a host as a bundle needs: an empty slot among other bytes.
fn host() -> Vec<u8> {
    // This test is a host, too: its own file has the slot.
    let own = std::fs::read("/proc/self/exe").unwrap();
    let at = super::super::slot::find(&own).unwrap();
    [&[9; 192], &own[at..at + BYTES], &[8; 70_000]].concat()
}

fn contents() -> Contents {
    let component = |id: &str, code: &[u8]| CompiledComponent {
        id: id.into(),
        code: code.to_vec(),
        source: Digest::of(id.as_bytes()),
    };
    Contents {
        purpose: Purpose::Product,
        cpu: Cpu::X86V2,
        product: "p".into(),
        manifest: MANIFEST.into(),
        keys: BTreeMap::new(),
        components: vec![component("api", &[1; 65_536]), component("web", &[2; 100])],
    }
}

fn opened(bytes: &[u8]) -> Result<Bundle, Damaged> {
    let memory = rustix::fs::memfd_create("packed", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let file = File::from(memory);
    file.write_all_at(bytes, 0).unwrap();
    let slot = Slot::of(bytes).unwrap().unwrap();
    Bundle::open(&file, slot)
}

fn packed() -> Vec<u8> {
    write(host(), contents(), &key(1)).unwrap()
}

#[test]
fn what_is_written_is_opened() {
    let bundle = opened(&packed()).unwrap();
    assert_eq!(bundle.manifest.product.name, "p");
    assert_eq!((bundle.cpu, bundle.is_preview()), (Cpu::X86V2, false));
    assert_eq!(bundle.places, [0..65_536, 65_536..65_636]);
    assert_eq!(bundle.code.len(), 131_072);
}

#[test]
fn the_same_contents_give_the_same_bytes() {
    assert!(packed() == packed());
}

#[test]
fn a_host_is_packed_once() {
    assert_eq!(write(packed(), contents(), &key(1)), Err(NoHost::Packed));
}

#[test]
fn no_byte_after_the_host_can_be_changed() {
    let good = packed();
    let start = host().len().next_multiple_of(65_536);
    let head = good.len() - 128 - opened(&good).unwrap().head.text().len();
    // Head and trailer byte by byte; in the code, each end of each piece and of its padding.
    let code = [0, 1, 65_535, 65_536, 65_635, 65_636, 131_071].map(|at| start + at);
    for at in (head..good.len()).chain(code) {
        for bit in [0, 7] {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            assert!(opened(&bytes).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn no_file_that_was_cut_off_is_opened() {
    let good = packed();
    for keep in [0, 100, 127, 70_000, good.len() - 129, good.len() - 1] {
        let mut bytes = good[..keep].to_vec();
        // The slot stays, as it would in the memory of a running host.
        bytes.splice(..0, host());
        assert!(Bundle::open(&memory(&bytes), Slot::of(&good).unwrap().unwrap()).is_err(), "{keep}");
    }
}

fn memory(bytes: &[u8]) -> File {
    let file = File::from(rustix::fs::memfd_create("packed", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    file.write_all_at(bytes, 0).unwrap();
    file
}

#[test]
fn what_is_damaged_is_said() {
    let good = packed();
    let slot = Slot::of(&good).unwrap().unwrap();
    let check = |slot: &Slot, bytes: &[u8]| Bundle::open(&memory(bytes), slot.clone()).unwrap_err().to_string();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        check(&slot, &bytes)
    };
    let end = good.len();
    let start = host().len().next_multiple_of(65_536);
    let other = Slot { key: key(2).public(), product: "p".into() };
    let name = Slot { product: "q".into(), ..slot.clone() };
    insta::assert_snapshot!(
        [
            flipped(end - 1),
            flipped(end - 128),
            flipped(end - 120),
            flipped(end - 112),
            flipped(end - 80),
            flipped(end - 200),
            flipped(start),
            flipped(start + 65_536),
            check(&other, &good),
            check(&name, &good),
        ]
        .join("\n"),
        @r#"
        this executable carries no product
        the bundle's trailer is damaged: the head does not end where it begins
        the bundle's trailer is damaged: the head does not end where it begins
        the bundle was signed by another vendor than the host is for
        the bundle's head does not match its signature: manifest, keys, digests or signature were changed
        the bundle's head does not match its signature: manifest, keys, digests or signature were changed
        the code of component "api" does not match its digest
        the code of component "web" does not match its digest
        the bundle was signed by another vendor than the host is for
        the bundle is of product "p", and the host is for "q"
        "#
    );
}

#[test]
fn a_head_that_contradicts_its_manifest_or_the_file_is_refused_though_it_is_signed() {
    let check = |change: &dyn Fn(&mut Head)| {
        let good = packed();
        let bundle = opened(&good).unwrap();
        let mut head = bundle.head.clone();
        change(&mut head);
        let text = head.text();
        let head_at = good.len() - 128 - bundle.head.text().len();
        let signature = key(1).sign(&trailer::message(text.as_bytes()));
        let trailer =
            Trailer { head_at: head_at as u64, head_bytes: text.len() as u64, key: key(1).public(), signature };
        opened(&[&good[..head_at], text.as_bytes(), &trailer.bytes()].concat()).unwrap_err().to_string()
    };
    let lines = [
        check(&|head| head.format = 2),
        check(&|head| head.cpu = "z80".into()),
        check(&|head| head.components.truncate(1)),
        check(&|head| head.components.swap(0, 1)),
        check(&|head| head.purpose = Purpose::Preview),
        check(&|head| head.components[1].bytes = u64::MAX),
        check(&|head| head.components[1].bytes = 0),
        check(&|head| head.components[1].bytes = 65_537),
        check(&|head| head.host.bytes = 0),
        check(&|head| head.host.bytes += 1),
        check(&|head| head.manifest.push_str("[[dimension]]\n")),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    the bundle's head cannot be understood: its format is 2, this host reads 1
    the bundle's head cannot be understood: unknown processor "z80"
    the bundle's head cannot be understood: its components are not those of its manifest
    the bundle's head cannot be understood: its components are not those of its manifest
    the bundle's head cannot be understood: its components are not those of its manifest
    the bundle's head cannot be understood: its lengths do not add up to the file's
    the bundle's head cannot be understood: its lengths do not add up to the file's
    the bundle's head cannot be understood: its lengths do not add up to the file's
    the bundle's head cannot be understood: its lengths do not add up to the file's
    the bundle's head cannot be understood: its lengths do not add up to the file's
    product.toml:22:1: [[dimension]] has no from
      next: write from = "guest" or, for example, from = "host:requests"
    product.toml:22:1: [[dimension]] has no key
      next: name the dimension's API identifier, as the catalogue shows it
    "#);
}
