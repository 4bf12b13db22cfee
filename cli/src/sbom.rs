//! `tollgate inspect --sbom`: the crates in a host, as CycloneDX.
//!
//! The host carries the list itself, as `cargo auditable` would write it, so scanners find it in the image without us.

use std::path::Path;

use auditable_info::json_from_slice;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::trouble::{Result, Trouble};
use crate::words;

/// More is no list.
const LIST_BYTES_MAX: usize = 8 << 20;

/// What `host/build.rs` wrote.
#[derive(Deserialize)]
struct List {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: String,
    /// Places in the list.
    dependencies: Vec<usize>,
    #[serde(default)]
    root: bool,
}

/// Shows what the host in a file is made of.
///
/// # Errors
/// The file cannot be read, or has no list.
pub fn run(path: &Path) -> Result<()> {
    let file = std::fs::read(path).map_err(|error| Trouble::file("read", path, &error))?;
    let none = |why: String| {
        Trouble::fails(
            format!("{} does not say what it is made of: {why}", path.display()),
            "it is no tollgate-host, or tollgate itself, which is never shipped",
            "name a packed product or a tollgate-host",
        )
    };
    let list = json_from_slice(&file, LIST_BYTES_MAX).map_err(|error| none(error.to_string()))?;
    let list = serde_json::from_str(&list).map_err(|error| none(error.to_string()))?;
    words::data(&document(&list).to_string());
    Ok(())
}

/// [CycloneDX 1.6](https://cyclonedx.org/docs/1.6/json/). The same list gives the same text.
fn document(list: &List) -> Value {
    let libraries = list.packages.iter().filter(|package| !package.root);
    let dependencies = list.packages.iter().map(|package| {
        let on = package.dependencies.iter().filter_map(|at| list.packages.get(*at)).map(reference);
        json!({ "ref": reference(package), "dependsOn": on.collect::<Vec<_>>() })
    });
    let host = list.packages.iter().find(|package| package.root);
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": host.map(|host| component(host, "application")) },
        "components": libraries.map(|package| component(package, "library")).collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
    })
}

fn component(package: &Package, kind: &str) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": reference(package),
        "name": package.name,
        "version": package.version,
    });
    // Crates of this repository are in no registry.
    if package.source == "crates.io" {
        component["purl"] = format!("pkg:cargo/{}", reference(package)).into();
    }
    component
}

fn reference(package: &Package) -> String {
    // A plus sign has a meaning of its own in a package URL.
    format!("{}@{}", package.name, package.version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_becomes_a_document_with_its_edges() {
        let list = r#"{"packages":[
            {"name":"a","version":"1.2.3+4","source":"crates.io","dependencies":[]},
            {"name":"host","version":"0.1.0","source":"local","dependencies":[0],"root":true}]}"#;
        let document = document(&serde_json::from_str(list).unwrap());
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap(), @r#"
        {
          "bomFormat": "CycloneDX",
          "components": [
            {
              "bom-ref": "a@1.2.3%2B4",
              "name": "a",
              "purl": "pkg:cargo/a@1.2.3%2B4",
              "type": "library",
              "version": "1.2.3+4"
            }
          ],
          "dependencies": [
            {
              "dependsOn": [],
              "ref": "a@1.2.3%2B4"
            },
            {
              "dependsOn": [
                "a@1.2.3%2B4"
              ],
              "ref": "host@0.1.0"
            }
          ],
          "metadata": {
            "component": {
              "bom-ref": "host@0.1.0",
              "name": "host",
              "type": "application",
              "version": "0.1.0"
            }
          },
          "specVersion": "1.6",
          "version": 1
        }
        "#);
    }
}
