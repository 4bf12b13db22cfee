//! The cases of one operation, from its input shape and one request that is accepted.

use serde_json::{Map, Value, json};

use super::{Case, Model};

/// The requests just inside and just outside each constraint.
pub(super) fn of(model: &Model, operation: &'static str, request: &Value) -> Vec<Case> {
    let shape = model.operation(operation)["input"]["shape"].as_str().unwrap();
    let mut walk = Walk { model, operation, request, cases: Vec::new() };
    walk.case("", "", request.clone(), &[]);
    walk.structure(shape, &[], "");
    walk.cases
}

struct Walk<'a> {
    model: &'a Model,
    operation: &'static str,
    request: &'a Value,
    cases: Vec<Case>,
}

/// A member's name, or the first item of a list.
type Path = [String];

const FRAMEWORK: &[&str] = &["ValidationException", "SerializationException"];
/// What is wrong with a tag has an error of its own in the model.
const TAG: &[&str] = &["InvalidTagException", "ValidationException"];

/// Members of which a request has one or the other, in the model's prose.
const EITHER: [[&str; 2]; 4] = [
    ["UsageQuantity", "UsageQuantityAsDecimal"],
    ["Quantity", "QuantityAsDecimal"],
    ["AllocatedUsageQuantity", "AllocatedUsageQuantityAsDecimal"],
    ["CustomerIdentifier", "CustomerAWSAccountId"],
];

/// "Each allocation must specify exactly one of" the two: the one that is there cannot be left out.
const NEEDED_BY_PROSE: &str = "AllocatedUsageQuantity";

/// Each expression of the model: texts that match, texts that do not, and what longer texts are made of. One that is
/// not here fails the test.
const PATTERNS: &[(&str, &[&str], &[&str], &str)] = &[
    ("^[-a-zA-Z0-9/=:_.@]*$", &["", "aA0-/=:_.@"], &["a b", "a,b", "é", "a\n"], "p"),
    ("^[0-9]+$", &["0", "123456789012"], &["12a", "-1", "１"], "1"),
    (r"[\s\S]+", &["é", "\n"], &[], "x"),
    (r"[\s\S]*", &["", "é\n"], &[], "x"),
    (r"^[a-zA-Z0-9+ -=._:\/@]+$", &["aZ09", " !#$%&'()*+,-./:;<=", "_@"], &["~", "é", "a?b", "[", "|"], "t"),
    (
        r"^(0|[1-9][0-9]{0,9})(\.[0-9]{1,6})?$",
        &["0", "17.42", "9999999999.999999", "0.000001"],
        &["00", "01", ".5", "1.", "-1", "+1", "1e3", "1,5", "10000000000", "1.0000000", "9999999999.9999999"],
        "",
    ),
    (
        "^arn:aws[a-zA-Z-]*:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,1023}$",
        &["arn:aws:a:::b", "arn:aws-us-gov:license-manager:r:1:license:l-0"],
        &["", "arn:aws:a::b", "arn:gcp:a:::b", "arn:aws:-a:::b", "arn:aws:a:::-", "arn:aws:a:b b::c"],
        "",
    ),
];

impl Walk<'_> {
    fn structure(&mut self, shape: &str, path: &Path, shown: &str) {
        let shape = self.model.shape(shape).clone();
        let required: Vec<&str> =
            shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, member) in shape["members"].as_object().unwrap() {
            let (path, shown) = ([path, std::slice::from_ref(name)].concat(), format!("{shown}.{name}"));
            let mut without = self.request.clone();
            let there = remove(&mut without, &path).is_some();
            if required.contains(&name.as_str()) {
                self.case(&shown, "required", without, FRAMEWORK);
            } else if there && name != NEEDED_BY_PROSE {
                self.case(&shown, "optional", without, &[]);
            }
            self.member(member["shape"].as_str().unwrap(), &path, &shown);
        }
    }

    fn member(&mut self, name: &str, path: &Path, shown: &str) {
        let shape = self.model.shape(name).clone();
        let kind = shape["type"].as_str().unwrap();
        let other = match kind {
            "string" => json!(7),
            "list" | "structure" => json!("text"),
            _ => json!("none"),
        };
        self.with(shown, &format!("type {kind}"), path, other, FRAMEWORK);
        match kind {
            "string" => self.string(name, &shape, path, shown),
            "integer" => self.integer(&shape, path, shown),
            "list" => self.list(name, &shape, path, shown),
            "structure" => self.structure(name, path, shown),
            "boolean" => {
                self.with(shown, "true", path, json!(true), if self.dry() { &["DryRunOperation"] } else { &[] })
            }
            "timestamp" => self.with(shown, "fraction", path, json!(1_795_185_000.123), &[]),
            other => panic!("{shown} has the type {other}, which this test does not know"),
        }
    }

    fn dry(&self) -> bool {
        self.operation == "MeterUsage"
    }

    fn string(&mut self, name: &str, shape: &Value, path: &Path, shown: &str) {
        let refused = if name.starts_with("Tag") { TAG } else { FRAMEWORK };
        let pattern = shape["pattern"].as_str();
        let row = pattern.map(|pattern| {
            let row = PATTERNS.iter().find(|row| row.0 == pattern);
            row.unwrap_or_else(|| panic!("{shown} has the pattern {pattern}, which this test does not know"))
        });
        for (bound, outside) in [("min", -1_i64), ("max", 1)] {
            let Some(length) = shape[bound].as_i64() else { continue };
            let filler = row.map_or("x", |row| row.3);
            let text = |length: i64| filler.repeat(usize::try_from(length).unwrap());
            if !filler.is_empty() && length > 0 {
                self.with(shown, &format!("{bound} {length}"), path, json!(text(length)), &[]);
            }
            match (length + outside, filler) {
                (-1, _) => {}
                (0, _) => self.with(shown, &format!("under {bound}"), path, json!(""), refused),
                // The longest decimal that matches is as long as the bound allows.
                (_, "") => {}
                (length, _) => self.with(shown, &format!("over {bound}"), path, json!(text(length)), refused),
            }
        }
        let Some((_, inside, outside, _)) = row else { return };
        let min = shape["min"].as_u64().unwrap_or_default();
        for text in inside.iter().filter(|text| text.len() as u64 >= min) {
            self.with(shown, &format!("pattern {text:?}"), path, json!(text), &[]);
        }
        for text in *outside {
            self.with(shown, &format!("not {text:?}"), path, json!(text), refused);
        }
    }

    fn integer(&mut self, shape: &Value, path: &Path, shown: &str) {
        for (bound, outside) in [("min", -1), ("max", 1)] {
            let Some(value) = shape[bound].as_i64() else { continue };
            self.with(shown, &format!("{bound} {value}"), path, json!(value), &[]);
            self.with(shown, &format!("beyond {bound}"), path, json!(value + outside), FRAMEWORK);
        }
    }

    fn list(&mut self, name: &str, shape: &Value, path: &Path, shown: &str) {
        let refused = if name.starts_with("Tag") { TAG } else { FRAMEWORK };
        let item = get(self.request, path).map_or_else(|| json!({}), |list| list[0].clone());
        for (bound, outside) in [("min", -1), ("max", 1)] {
            let Some(length) = shape[bound].as_i64() else { continue };
            let items = |length: i64| json!(vec![item.clone(); usize::try_from(length).unwrap()]);
            // Five tags of one key are a bad tag, but not too many: that the list may be so long is the untagged case.
            let inside: &[&str] = if name == "TagList" && length > 1 { TAG } else { &[] };
            self.with(shown, &format!("{bound} {length}"), path, items(length), inside);
            if length + outside >= 0 {
                self.with(shown, &format!("beyond {bound}"), path, items(length + outside), refused);
            }
        }
        let member = shape["member"]["shape"].as_str().unwrap();
        self.with(shown, "type of items", path, json!(["text"]), FRAMEWORK);
        self.structure(member, &[path, &["0".to_owned()]].concat(), &format!("{shown}[]"));
    }

    /// The request with another value at `path`.
    fn with(&mut self, shown: &str, what: &str, path: &Path, value: Value, refused: &[&'static str]) {
        let mut body = self.request.clone();
        if let Some(pair) = EITHER.iter().find(|pair| pair.contains(&path[path.len() - 1].as_str())) {
            for name in pair {
                remove(&mut body, &[&path[..path.len() - 1], &[(*name).to_owned()]].concat());
            }
        }
        let (last, parents) = path.split_last().unwrap();
        get_mut(&mut body, parents).insert(last.clone(), value);
        self.case(shown, what, body, refused);
    }

    fn case(&mut self, shown: &str, what: &str, body: Value, refused: &[&'static str]) {
        let name = format!("{shown} {what}").trim_end().to_owned();
        self.cases.push(Case { operation: self.operation, name, body, refused: refused.to_vec() });
    }
}

fn get<'a>(value: &'a Value, path: &Path) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

fn get_mut<'a>(value: &'a mut Value, path: &Path) -> &'a mut Map<String, Value> {
    let structure = path.iter().fold(value, |value, step| match value {
        Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
        other => &mut other[step],
    });
    structure.as_object_mut().unwrap()
}

fn remove(body: &mut Value, path: &Path) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    get(body, parents)?;
    get_mut(body, parents).remove(last)
}
