//! An answer against the model's output shape: members it knows, types and constraints it gives them.

use serde_json::Value;

use super::Model;

pub(super) fn check(model: &Model, name: &str, value: &Value) -> Result<(), String> {
    let shape = model.shape(name);
    let kind = shape["type"].as_str().unwrap();
    let within = |length: usize| {
        let (min, max) = (shape["min"].as_u64().unwrap_or(0), shape["max"].as_u64().unwrap_or(u64::MAX));
        (min..=max).contains(&u64::try_from(length).unwrap())
    };
    let right = match kind {
        "structure" => {
            let members = value.as_object().ok_or_else(|| format!("{name} is no structure"))?;
            for (member, value) in members {
                let known = shape["members"][member]["shape"].as_str();
                check(model, known.ok_or_else(|| format!("{name} has no member {member}"))?, value)?;
            }
            let required = shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            required.into_iter().all(|name| members.contains_key(name))
        }
        "list" => {
            let items = value.as_array().ok_or_else(|| format!("{name} is no list"))?;
            let member = shape["member"]["shape"].as_str().unwrap();
            items.iter().try_for_each(|item| check(model, member, item))?;
            within(items.len())
        }
        "string" => {
            let listed =
                |text: &str| shape["enum"].as_array().is_none_or(|names| names.iter().any(|name| name == text));
            value.as_str().is_some_and(|text| within(text.chars().count()) && listed(text))
        }
        "integer" => value.is_i64(),
        "timestamp" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => false,
    };
    if right { Ok(()) } else { Err(format!("{value} is no {name}")) }
}
