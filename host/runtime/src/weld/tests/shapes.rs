//! Shapes that nobody thought of: in each, all that has a number has another one.

use std::collections::BTreeMap;

use super::*;
use crate::testing::Dice;

/// Modules of functions from a number to a number. `base` has only functions; `support` takes some of them and has tables;
/// `main` takes functions of both, as they are or by an instance in between; the last one fills the tables.
struct Shape {
    dice: Dice,
    /// How many functions of `base`, and of `support`; and the sizes of its tables.
    base: usize,
    support: usize,
    tables: Vec<u64>,
}

impl Shape {
    fn of(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut some = |end| usize::try_from(1 + dice.below(end)).unwrap();
        let (base, support, tables) = (some(3), some(6), some(3));
        let tables = (0..tables).map(|_| 1 + dice.below(4)).collect();
        Self { dice, base, support, tables }
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.dice.below(many) == 0
    }

    /// Some types that nobody uses, so that the one of all functions has another number.
    fn types(&mut self) -> String {
        let more = "(type (func (param i64)))".repeat(usize::try_from(self.dice.below(3)).unwrap());
        more + "(type $f (func (param i32) (result i32)))"
    }

    /// What a function does with its number before it gives it to another one.
    fn number(&mut self) -> String {
        let (times, plus) = (1 + self.dice.below(9), self.dice.below(1_000));
        format!("(i32.add (i32.mul (local.get 0) (i32.const {times})) (i32.const {plus}))")
    }

    /// A function that may call any of these, and those before it.
    fn function(&mut self, name: &str, callees: &mut Vec<String>, exported: bool) -> String {
        let number = self.number();
        let pick = usize::try_from(self.dice.below(callees.len() as u64 + 1)).unwrap();
        let body = callees.get(pick).map_or_else(|| number.clone(), |callee| callee.replace("NUMBER", &number));
        callees.push(format!("(call ${name} NUMBER)"));
        let export = if exported { format!("(export \"{name}\")") } else { String::new() };
        format!("(func ${name} {export} (type $f) {body})\n")
    }

    fn base(&mut self) -> String {
        let functions = (0..self.base).map(|number| self.function(&format!("b{number}"), &mut Vec::new(), true));
        let functions = functions.collect::<String>();
        self.types() + &functions
    }

    fn support(&mut self) -> String {
        let mut text = self.types();
        let mut callees = Vec::new();
        for number in 0..self.base {
            if self.one_in(2) {
                text.push_str(&format!("(import \"b\" \"b{number}\" (func $b{number} (type $f)))\n"));
                callees.push(format!("(call $b{number} NUMBER)"));
            }
        }
        for (table, size) in self.tables.clone().into_iter().enumerate() {
            text.push_str(&format!("(table $t{table} (export \"t{table}\") {size} {size} funcref)\n"));
            callees.extend(
                (0..size).map(|place| format!("(call_indirect $t{table} (type $f) NUMBER (i32.const {place}))")),
            );
        }
        for number in 0..self.support {
            if self.one_in(3) {
                text.push_str(&self.function(&format!("unused{number}"), &mut callees, false));
            }
            text.push_str(&self.function(&format!("s{number}"), &mut callees, true));
        }
        text
    }

    /// With what it takes of the support.
    fn main(&mut self) -> (String, Vec<usize>) {
        let mut text = self.types();
        let mut taken: Vec<usize> = (0..self.support).filter(|_| self.dice.below(3) > 0).collect();
        if taken.is_empty() {
            taken.push(0);
        }
        let turn = usize::try_from(self.dice.below(taken.len() as u64)).unwrap();
        taken.rotate_left(turn);
        let mut callees = Vec::new();
        for (base, number) in taken.iter().enumerate() {
            if self.one_in(3) && base < self.base {
                text.push_str(&format!("(import \"b\" \"b{base}\" (func $b{base} (type $f)))\n"));
                callees.push(format!("(call $b{base} NUMBER)"));
            }
            text.push_str(&format!("(import \"s\" \"s{number}\" (func $s{number} (type $f)))\n"));
            callees.push(format!("(call $s{number} NUMBER)"));
        }
        let elements: Vec<String> =
            taken.iter().map(|number| format!("$s{number}")).chain(["$m0".to_owned()]).collect();
        if self.one_in(2) {
            text.push_str(&format!(
                "(table $own {0} {0} funcref) (elem (table $own) (i32.const 0) func {1})\n",
                elements.len(),
                elements.join(" ")
            ));
            callees.extend(
                (0..taken.len()).map(|place| format!("(call_indirect $own (type $f) NUMBER (i32.const {place}))")),
            );
        }
        if self.one_in(2) {
            text.push_str("(global $begun (mut i32) (i32.const 0)) (func $begin (global.set $begun (i32.const 1))) (start $begin)\n");
        }
        for number in 0..=self.dice.below(4) {
            text.push_str(&self.function(&format!("m{number}"), &mut callees, false));
        }
        let zero = "(i32.const 0)".to_owned();
        let sum = callees.iter().fold(zero, |sum, callee| {
            let call = callee.replace("NUMBER", &format!("(i32.const {})", self.dice.below(1_000)));
            format!("(i32.add (i32.mul {sum} (i32.const 31)) {call})")
        });
        text.push_str(&format!("(func (export \"run\") (result i32) {sum})"));
        (text, taken)
    }

    /// One place in some stays empty: a call through it traps.
    fn fill(&mut self) -> String {
        let mut text = self.types();
        for (table, size) in self.tables.clone().into_iter().enumerate() {
            text.push_str(&format!("(import \"\" \"t{table}\" (table $t{table} {size} {size} funcref))\n"));
        }
        for (table, size) in self.tables.clone().into_iter().enumerate() {
            let filled = if self.one_in(8) { size - 1 } else { size };
            for place in 0..filled {
                let number = self.number();
                text.push_str(&format!("(func $f{table}{place} (type $f) {number})\n"));
                text.push_str(&format!("(elem (table $t{table}) (i32.const {place}) func $f{table}{place})\n"));
            }
        }
        text
    }

    fn component(mut self) -> String {
        let (base, support, (main, taken), fill) = (self.base(), self.support(), self.main(), self.fill());
        let between = if self.one_in(2) {
            let aliases =
                taken.iter().map(|number| format!("(alias core export $s \"s{number}\" (core func $s{number}))"));
            let exports = taken.iter().map(|number| format!("(export \"s{number}\" (func $s{number}))"));
            format!("{} (core instance $taken {})", aliases.collect::<String>(), exports.collect::<String>())
        } else {
            String::new()
        };
        let from = if between.is_empty() { "$s" } else { "$taken" };
        let tables = (0..self.tables.len()).map(|table| format!("(export \"t{table}\" (table $s \"t{table}\"))"));
        format!(
            r#"(component
              (core module $base {base})
              (core module $support {support})
              (core module $main {main})
              (core module $fill {fill})
              (core instance $b (instantiate $base))
              (core instance $s (instantiate $support (with "b" (instance $b))))
              {between}
              (core instance $m (instantiate $main (with "s" (instance {from})) (with "b" (instance $b))))
              (core instance (instantiate $fill (with "" (instance {tables}))))
              (func (export "run") (result u32) (canon lift (core func $m "run"))))"#,
            tables = tables.collect::<String>(),
        )
    }
}

#[test]
fn whatever_the_numbers_are_a_welded_component_answers_as_before() {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..100 {
        let component = Shape::of(seed).component();
        let base = if component.contains(r#"(import "b""#) { "all are taken" } else { "nobody takes the base" };
        let said = check(&wat::parse_str(component).unwrap());
        let (modules, answer) = said.split_once(": ").unwrap();
        let kind = if answer.parse::<u32>().is_ok() { "answers" } else { "traps" };
        *seen.entry(format!("{base}: {modules}, {kind}")).or_default() += 1;
    }
    let lines: Vec<String> = seen.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    all are taken: 4 -> 2, answers: 81
    all are taken: 4 -> 2, traps: 2
    nobody takes the base: 4 -> 3, answers: 17
    ");
}
