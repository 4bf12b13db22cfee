//! The description of the control API is what the emulator does: same paths, same methods, and every answer that any
//! test gets fits its schema.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Value, json};

use crate::world::{World, http_request};

static DESCRIPTION: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../src/control/openapi.json")).unwrap());

/// Holds an answer to the description.
pub(crate) fn check(method: &str, path: &str, status: u16, body: &str) {
    let path = path.split('?').next().unwrap();
    if !path.starts_with("/_tollgate/") {
        return;
    }
    let described = template(path).unwrap_or_else(|| panic!("{path} is not described"));
    let operation = &DESCRIPTION["paths"][described][method.to_lowercase()];
    let answer = &operation["responses"][status.to_string()];
    assert!(answer.is_object(), "{method} {path} answers {status}, which is not described: {body}");
    let schema = &answer["content"]["application/json"]["schema"];
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{method} {path}: {error}: {body}"));
    if let Err(error) = fits(schema, &body) {
        panic!("{method} {path} {status}: {error}");
    }
}

/// Whether a value fits a schema, by the keywords that the description uses; any other is a mistake in it.
fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{value} {why}"));
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "description" | "default" | "required" => {}
            "$ref" => fits(DESCRIPTION.pointer(rule.as_str().unwrap().strip_prefix('#').unwrap()).unwrap(), value)?,
            "additionalProperties" | "properties" => fits_members(schema, value)?,
            "const" if rule != value => return wrong("is another constant"),
            "enum" if !rule.as_array().unwrap().contains(value) => return wrong("is none of the words"),
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| fits(rule, item))?,
            "maxItems" if value.as_array().is_some_and(|items| items.len() as u64 > rule.as_u64().unwrap()) => {
                return wrong("is too long");
            }
            "minItems" if value.as_array().is_some_and(|items| (items.len() as u64) < rule.as_u64().unwrap()) => {
                return wrong("is too short");
            }
            "minimum" if value.as_f64() < rule.as_f64() && value.is_number() => return wrong("is too small"),
            "maximum" if value.as_f64() > rule.as_f64() && value.is_number() => return wrong("is too large"),
            "oneOf" => {
                let fitting = rule.as_array().unwrap().iter().filter(|schema| fits(schema, value).is_ok()).count();
                if fitting != 1 {
                    return wrong(&format!("fits {fitting} of the schemas"));
                }
            }
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if !types.iter().any(|name| is_of_type(name.as_str().unwrap(), value)) {
                    return wrong(&format!("is no {rule}"));
                }
            }
            "const" | "enum" | "maxItems" | "minItems" | "minimum" | "maximum" => {}
            other => panic!("the description uses {other:?}"),
        }
    }
    Ok(())
}

fn fits_members(schema: &Value, value: &Value) -> Result<(), String> {
    let Some(members) = value.as_object() else { return Ok(()) };
    let required = schema["required"].as_array().into_iter().flatten();
    if let Some(missing) = required.map(|name| name.as_str().unwrap()).find(|name| !members.contains_key(*name)) {
        return Err(format!("{value} has no {missing}"));
    }
    for (name, member) in members {
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => return Err(format!("{value} has {name}")),
            (Value::Null, Value::Object(_)) => fits(&schema["additionalProperties"], member)?,
            (Value::Null, _) => {}
            (rule, _) => fits(rule, member).map_err(|error| format!("{name}: {error}"))?,
        }
    }
    Ok(())
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("the description has the type {other:?}"),
    }
}

/// The described path that a path fits; one without parameters first.
fn template(path: &str) -> Option<&'static str> {
    let fits = |described: &str| {
        let (mut wanted, mut given) = (described.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(wanted), Some(given)) if wanted == given || wanted.starts_with('{') => {}
                _ => return false,
            }
        }
    };
    let paths: &'static Value = &DESCRIPTION["paths"];
    let mut fitting: Vec<&str> =
        paths.as_object().unwrap().keys().map(String::as_str).filter(|path| fits(path)).collect();
    fitting.sort_by_key(|path| path.contains('{'));
    fitting.first().copied()
}

#[tokio::test]
async fn each_path_has_the_methods_that_are_described_and_no_other() {
    let world = World::new().await;
    for (path, methods) in DESCRIPTION["paths"].as_object().unwrap() {
        let described: BTreeSet<String> =
            methods.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        let answer = world.whole(&http_request("TRACE", path, &[], "")).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{path}: {answer}");
        let allowed = answer.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap();
        // HEAD comes with each GET.
        let routed = allowed.split(',').filter(|method| *method != "HEAD").map(str::to_owned).collect();
        assert_eq!(described, routed, "{path}");
    }
}

#[tokio::test]
async fn the_description_is_served_and_every_reading_fits_it() {
    let world = World::new().await;
    assert_eq!(world.get("/_tollgate/openapi.json").await, *DESCRIPTION);
    let task = world.task().await;
    let editor = world.client(&task);
    editor.register_usage().product_code("editor").public_key_version(1).send().await.unwrap();
    crate::world::send(crate::world::images(&editor, 5, 0)).await;
    world.fault(json!({ "fault": "delay", "delay_ms": 5, "count": 3 })).await;
    let readings = DESCRIPTION["paths"].as_object().unwrap().iter().filter(|(_, methods)| methods["get"].is_object());
    for (path, _) in readings {
        // Whatever is answered was held to the description on its way here.
        world
            .get(&format!(
                "{}{}",
                path.replace("{product_code}", "editor"),
                if path.ends_with("clock") { "?wait_s=0" } else { "" }
            ))
            .await;
    }
}
