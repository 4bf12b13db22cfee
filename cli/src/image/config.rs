//! What an image says about itself (OCI image specification 1.1).

use serde_json::{Value, json};
use tollgate_host::product::bundle::Bundle;

use super::layer::{LEDGER, PROGRAM, USER};

/// Nobody asks when the same bytes were made.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// The image's configuration around one layer. No variable is set: region and place are found out where it runs.
pub(super) fn config(bundle: &Bundle, layer: &str) -> Value {
    json!({
        "created": EPOCH,
        "architecture": bundle.cpu.architecture(),
        "os": "linux",
        "config": {
            "User": format!("{USER}:{USER}"),
            "Entrypoint": [format!("/{PROGRAM}")],
            "WorkingDir": "/",
            "ExposedPorts": { "8080/tcp": {} },
            "Volumes": { format!("/{LEDGER}"): {} },
            "StopSignal": "SIGTERM",
            "Labels": labels(bundle),
        },
        "rootfs": { "type": "layers", "diff_ids": [layer] },
        "history": [{ "created": EPOCH, "created_by": "tollgate image" }],
    })
}

/// Also the annotations of the manifest.
pub(super) fn labels(bundle: &Bundle) -> Value {
    let (head, product) = (&bundle.head, &bundle.manifest.product);
    json!({
        "org.opencontainers.image.title": product.name,
        "org.opencontainers.image.version": product.version,
        "tollgate.cpu": head.cpu,
        "tollgate.signed-by": bundle.slot.key.to_string(),
        "tollgate.version": head.tollgate,
    })
}
