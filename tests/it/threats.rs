//! The threat tables of SECURITY.md: each row names tests, and each of them exists.

use std::collections::BTreeSet;
use std::path::Path;

use syn::visit::Visit;

use crate::support::root;

/// Names of all functions marked as tests.
#[derive(Default)]
struct Tests(BTreeSet<String>);

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let marked = |attribute: &syn::Attribute| {
            attribute.path().segments.last().is_some_and(|segment| segment.ident == "test")
        };
        if item.attrs.iter().any(marked) {
            self.0.insert(item.sig.ident.to_string());
        }
        syn::visit::visit_item_fn(self, item);
    }
}

fn tests_below(folder: &Path, tests: &mut Tests) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            tests_below(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            tests.visit_file(&syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap());
        }
    }
}

/// What is wrong with the tables.
fn check(text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut ids = BTreeSet::new();
    let is_id = |id: &str| {
        id.split_once('-').is_some_and(|(kind, number)| {
            kind.len() == 1 && number.len() == 2 && number.bytes().all(|digit| digit.is_ascii_digit())
        })
    };
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(id) = cells.first().filter(|id| is_id(id)) else { continue };
        if !ids.insert(id.to_string()) {
            wrong.push(format!("{id} is there twice"));
        }
        let named: Vec<&str> = cells.last().unwrap_or(&"").split('`').skip(1).step_by(2).collect();
        if cells.len() != 4 || named.is_empty() {
            wrong.push(format!("{id} names no test"));
        }
        let missing = named.iter().filter(|name| !tests.contains(**name));
        wrong.extend(missing.map(|name| format!("{id} names {name}, which is no test")));
    }
    if ids.is_empty() {
        wrong.push("there is no row".to_owned());
    }
    wrong
}

#[test]
fn every_threat_has_a_test_that_exists() {
    let mut tests = Tests::default();
    for folder in ["cli/src", "emulator", "host", "tests/it"] {
        tests_below(&root().join(folder), &mut tests);
    }
    let text = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    assert_eq!(check(&text, &tests.0), Vec::<String>::new());
}

#[test]
fn a_row_without_a_test_is_found() {
    let tests = BTreeSet::from(["a_test".to_owned()]);
    let text = "| id | threat | what | tests |\n|---|---|---|---|\n| G-01 | a | b | `a_test` |\n| G-02 | a | b | none |\n\
                | G-02 | a | b | `a_wish` |";
    let wrong = ["G-02 names no test", "G-02 is there twice", "G-02 names a_wish, which is no test"];
    assert_eq!(check(text, &tests), wrong);
    assert_eq!(check("nothing", &tests), ["there is no row"]);
}
