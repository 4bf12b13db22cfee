//! The contract is for ever: its text changes only together with its changelog.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

#[test]
fn the_text_of_the_contract_is_listed_in_its_changelog() {
    let complaint = unlisted(&read("metering.wit"), &read("worlds.wit"), &read("README.md"));
    assert_eq!(complaint, None);
}

#[test]
fn a_change_of_one_letter_is_seen() {
    let worlds = read("worlds.wit").replacen("guest", "Guest", 1);
    assert!(unlisted(&read("metering.wit"), &worlds, &read("README.md")).is_some());
}

#[test]
fn a_hash_under_an_older_version_does_not_count() {
    let readme = read("README.md").replacen("### 0.1.0", "### 0.1.1\n\nsha256 `0`\n\n### 0.1.0", 1);
    assert!(unlisted(&read("metering.wit"), &read("worlds.wit"), &readme).is_some());
}

#[test]
fn no_function_takes_or_gives_what_some_guest_languages_cannot() {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_path(wit("")).expect("the contract parses");
    let ours: Vec<_> = resolve.interfaces.iter().filter(|(_, i)| i.package == Some(package)).collect();
    let names: Vec<_> = ours.iter().filter_map(|(_, i)| i.name.as_deref()).collect();
    assert_eq!(names, ["counter", "usage", "entitlement"]);
    for (_, interface) in ours {
        for function in interface.functions.values() {
            let types = function.params.iter().map(|p| p.ty).chain(function.result);
            for ty in types {
                assert!(!wide(&resolve, ty), "{} carries a 64-bit number", function.name);
            }
        }
    }
}

/// What is wrong with the changelog, if anything: its top entry must be of the package's version and hold the text's hash.
fn unlisted(metering: &str, worlds: &str, readme: &str) -> Option<String> {
    let hash: String = Sha256::digest([metering, worlds].concat()).iter().map(|byte| format!("{byte:02x}")).collect();
    let version =
        metering.lines().find_map(|line| line.strip_prefix("package tollgate:metering@"))?.trim_end_matches(';');
    let (_, changelog) = readme.split_once("## Changelog")?;
    let top = changelog.split("\n### ").nth(1).unwrap_or_default();
    if !top.starts_with(version) {
        return Some(format!("the top entry of wit/README.md's changelog is not of version {version}"));
    }
    if !top.contains(&hash) {
        return Some(format!(
            "wit/ has changed: a published version needs a new one, then list sha256 `{hash}` in wit/README.md"
        ));
    }
    None
}

fn wide(resolve: &wit_parser::Resolve, ty: wit_parser::Type) -> bool {
    use wit_parser::{Type, TypeDefKind};
    let Type::Id(id) = ty else { return matches!(ty, Type::U64 | Type::S64) };
    match &resolve.types[id].kind {
        TypeDefKind::Record(record) => record.fields.iter().any(|field| wide(resolve, field.ty)),
        TypeDefKind::Tuple(tuple) => tuple.types.iter().any(|ty| wide(resolve, *ty)),
        TypeDefKind::Result(result) => [result.ok, result.err].into_iter().flatten().any(|ty| wide(resolve, ty)),
        TypeDefKind::List(ty) | TypeDefKind::Option(ty) | TypeDefKind::Type(ty) => wide(resolve, *ty),
        TypeDefKind::Enum(_) => false,
        other => panic!("the contract uses a new kind of type, decide here whether guests can carry it: {other:?}"),
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(wit(file)).expect("the contract is beside the SDK")
}

fn wit(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit").join(file)
}
