//! The rules of ARCHITECTURE.md that a reviewer should not have to check by eye.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::Visit;

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Longer than the rule allows: path (and function), lines today, reason. A ratchet: an entry may only shrink,
/// and must be taken out once it fits.
const LONG_FILES: &[(&str, usize, &str)] = &[];
const LONG_FUNCTIONS: &[(&str, &str, usize, &str)] = &[];

/// Who may name what. Text in a source file of the folder on the left that is not below one of the paths on the right is a leak.
const OWNERS: &[(&str, &str, &[&str])] = &[
    ("aws_sdk", "host/src", &["host/src/marketplace/aws"]),
    ("aws_config", "host/src", &["host/src/marketplace/aws"]),
    ("aws_smithy", "host/src", &["host/src/marketplace/aws"]),
    ("aws_credential_types", "host/src", &["host/src/marketplace/aws"]),
    ("rusqlite", "host/src", &["host/src/ledger"]),
    ("wasmtime", "host/src", &[]),
    ("wasmtime", "emulator/src", &[]),
    ("wasmtime", "cli/src", &[]),
    ("Component::load", "host/src", &["host/src/product/load.rs"]),
    ("Component::compile", "host/src", &["host/src/product/load.rs"]),
    ("Code::trusted", "host/src", &["host/src/product/bundle.rs"]),
    ("SystemTime::now", "host", &["host/src/clock.rs"]),
    ("SystemTime::now", "emulator/src", &["emulator/src/clock.rs"]),
    ("Instant::now", "host", &["host/src/clock.rs", "host/runtime/src/clock.rs"]),
    ("env::var", "host", &["host/build.rs", "host/src/config.rs", "host/src/config/"]),
    ("println!", "host", &["host/build.rs", "host/src/exit.rs"]),
    ("eprint!", "host", &["host/src/exit.rs"]),
    ("tollgate_host", "emulator", &[]),
    ("tollgate_emulator", "host", &[]),
];

/// Which crates of ours a crate may depend on.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("cli", &["tollgate-emulator", "tollgate-host", "tollgate-runtime"]),
    ("emulator", &[]),
    ("guest-sdk/rust", &[]),
    ("host", &["tollgate-metering", "tollgate-runtime"]),
    ("host/metering", &[]),
    ("host/runtime", &[]),
];

/// What a crate must not depend on, by the start of the name, and why.
const ABSENT: &[(&str, &[&str], &str)] = &[
    ("host/metering", &[""], "the engine is pure: no dependency at all"),
    ("host/runtime", &["aws-", "webpki", "rusqlite", "axum"], "the runtime may become a process that owns nothing"),
    ("guest-sdk/rust", &["tokio", "wasmtime"], "it is compiled into guests"),
    ("emulator", &["wasmtime", "rusqlite"], "it is a service of its own"),
];

#[test]
fn only_owners_name_what_they_own() {
    let mut leaks = Vec::new();
    for (word, below, owners) in OWNERS {
        for path in sources(below) {
            let name = relative(&path);
            if owners.iter().any(|owner| name.starts_with(owner)) || name.contains("/benches/") {
                continue;
            }
            for (index, line) in code_lines(&path) {
                if line.contains(word) {
                    leaks.push(format!("{name}:{index}: {word}"));
                }
            }
        }
    }
    assert!(leaks.is_empty(), "move these behind their owner:\n{}", leaks.join("\n"));
}

#[test]
fn crates_depend_only_downwards() {
    for (folder, allowed) in DIRECTIONS {
        let ours: Vec<String> =
            dependencies(folder, "dependencies").into_iter().filter(|name| name.starts_with("tollgate-")).collect();
        assert_eq!(&ours, allowed, "dependencies of {folder}");
    }
    for (folder, prefixes, reason) in ABSENT {
        for name in dependencies(folder, "dependencies") {
            assert!(!prefixes.iter().any(|prefix| name.starts_with(prefix)), "{folder} depends on {name}: {reason}");
        }
    }
    let engine = fs::read_to_string(root().join("host/metering/src/lib.rs")).unwrap();
    assert!(engine.contains("#![no_std]"), "the engine is no_std, so that the compiler refuses clocks and files");
}

#[test]
fn examples_see_only_the_contract() {
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("Cargo.toml").exists() {
            continue;
        }
        for name in dependencies(relative(&folder).as_str(), "dependencies") {
            assert!(!name.starts_with("tollgate-") || name == "tollgate-guest-sdk", "{}: {name}", folder.display());
        }
    }
}

#[test]
fn files_and_functions_stay_small() {
    let mut found = Vec::new();
    for path in all_sources() {
        let name = relative(&path);
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        let allowed = LONG_FILES.iter().find(|entry| entry.0 == name).map_or(FILE_LINES_MAX, |entry| entry.1);
        if lines > allowed {
            found.push(format!("{name}: {lines} lines, allowed are {allowed}"));
        }
        let mut functions = Functions::default();
        functions.visit_file(&syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}")));
        for (function, lines) in functions.lines {
            let allowed = LONG_FUNCTIONS
                .iter()
                .find(|entry| entry.0 == name && entry.1 == function)
                .map_or(FUNCTION_LINES_MAX, |entry| entry.2);
            if lines > allowed {
                found.push(format!("{name}: fn {function} has {lines} lines, allowed are {allowed}"));
            }
        }
    }
    assert!(found.is_empty(), "split these:\n{}", found.join("\n"));
    for (name, lines, reason) in LONG_FILES {
        assert!(!reason.is_empty() && *lines > FILE_LINES_MAX, "{name}: an exception has a reason and a need");
        let today = fs::read_to_string(root().join(name)).unwrap().lines().count();
        assert_eq!(today, *lines, "{name} has shrunk: lower its entry or take it out");
    }
    for (name, function, lines, reason) in LONG_FUNCTIONS {
        assert!(!reason.is_empty() && *lines > FUNCTION_LINES_MAX, "{name} {function}");
    }
}

#[test]
fn nothing_is_named_after_being_left_over() {
    for path in all_sources() {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(
            !["utils", "util", "common", "helpers", "types", "misc"].contains(&stem.as_str()),
            "{}",
            path.display()
        );
    }
}

#[test]
fn tests_neither_sleep_nor_are_ignored_and_no_wish_stays_in_code() {
    // Built from pieces, so that this file does not find itself.
    let banned =
        [["#[ig", "nore"].concat(), ["thread::sl", "eep"].concat(), ["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let sleeping = ["time::sl", "eep("].concat();
    let mut found = Vec::new();
    for path in all_sources() {
        let name = relative(&path);
        for (index, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let in_tests = name.starts_with("tests/") || name.contains("/tests/");
            if banned.iter().any(|word| line.contains(word.as_str())) || (in_tests && line.contains(&sleeping)) {
                found.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn unsafe_code_says_why_it_is_safe_and_is_counted() {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for path in all_sources() {
        // Blocks, functions, implementations, attributes; not the name of the lint.
        let unsafe_code = |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == KEYWORD);
        let blocks = code_lines(&path).filter(|(_, line)| unsafe_code(without_text(line))).count();
        if blocks > 0 {
            counted.insert(relative(&path), blocks);
        }
    }
    let known: BTreeMap<String, usize> =
        UNSAFE_LINES.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(counted, known, "each new unsafe block is a decision: list it here");
}

/// Built from pieces, so that this file does not find itself.
const KEYWORD: &str = concat!("un", "safe");

/// A line up to its first text.
fn without_text(line: &str) -> &str {
    line.split('"').next().unwrap_or_default()
}

/// Files with unsafe code and on how many lines; clippy holds that each block has its SAFETY comment.
const UNSAFE_LINES: &[(&str, usize)] = &[
    // The one moment before threads exist in which the environment can be emptied.
    ("host/src/config/environment.rs", 1),
    // System calls that a filtered process may not make are made in a child, between fork and exec: in tests only.
    ("host/src/hardening/tests.rs", 2),
    // A file system for SQLite that fails on demand: in tests only.
    ("host/src/ledger/tests/disk/vfs.rs", 35),
    // The allocator: five functions that hand on, one that wipes, one that copies and wipes; the rest is its test.
    ("host/src/memory.rs", 18),
    // Bytes of a verified bundle become code, and the key's slot is read behind the compiler's back.
    ("host/src/product/bundle.rs", 1),
    ("host/src/product/bundle/slot.rs", 1),
    // The list of crates is in a section whose name scanners know.
    ("host/src/sbom.rs", 1),
    // A benchmark asks the kernel for a filter that no library has, and to be woken at once.
    ("benches/serving/slow_disk.rs", 5),
    // A benchmark loads the code that it compiled itself.
    ("host/runtime/benches/add.rs", 1),
    // The component that is compiled into guests reads and writes the counters of its instance.
    ("host/runtime/src/builtin.rs", 1),
    // Code is mapped from a file and made executable in place.
    ("host/runtime/src/code.rs", 7),
    ("host/runtime/src/compile.rs", 2),
    // The source of a library that a dynamic linker would load: text, compiled by the test itself.
    ("tests/it/redirect.rs", 2),
];

#[test]
fn exit_codes_in_the_readme_are_those_of_the_code() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for why in tollgate_host::exit::Why::ALL {
        let row = format!("| {} | {} |", why.code(), why.title());
        assert!(readme.contains(&row), "README.md lacks the row: {row}");
    }
}

#[derive(Default)]
struct Functions {
    lines: Vec<(String, usize)>,
}

impl Functions {
    fn note(&mut self, name: String, whole: &impl Spanned) {
        let span = whole.span();
        self.lines.push((name, span.end().line - span.start().line + 1));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(item.sig.ident.to_string(), &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(item.sig.ident.to_string(), &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_str().unwrap().to_owned()
}

/// Every Rust source of the repository but generated and compiled ones.
fn all_sources() -> Vec<PathBuf> {
    ["benches", "cli", "emulator", "examples", "guest-sdk", "host", "tests"]
        .iter()
        .flat_map(|top| sources(top))
        .collect()
}

fn sources(below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Lines that are not comments, numbered from one.
fn code_lines(path: &Path) -> impl Iterator<Item = (usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<(usize, String)> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line.to_owned()))
        .collect();
    lines.into_iter()
}

fn dependencies(folder: &str, table: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&text).unwrap();
    manifest.get(table).and_then(toml::Value::as_table).map(|table| table.keys().cloned().collect()).unwrap_or_default()
}
