//! The files of an image: an OCI layout, and the same as an archive that `docker load` takes, too.

use serde_json::{Value, json};
use tar::{Builder, EntryType};
use tollgate_host::product::bundle::Bundle;

use super::{config, layer, sha256};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Not compressed: registries' clients compress on the way, and no version of a compressor decides a digest.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// One of the files that others name by digest.
pub(super) struct Blob {
    kind: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// An image for one architecture.
pub(super) struct Image {
    pub(super) manifest: Blob,
    config: Blob,
    layer: Blob,
    platform: Value,
}

/// The image of a packed product around its layer.
pub(super) fn image(bundle: &Bundle, layer: &[u8]) -> Image {
    let layer = Blob { kind: LAYER, bytes: layer.to_vec() };
    let config = Blob { kind: CONFIG, bytes: config::config(bundle, &sha256(&layer.bytes)).to_string().into_bytes() };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(&config),
        "layers": [descriptor(&layer)],
        "annotations": config::labels(bundle),
    });
    let manifest = Blob { kind: MANIFEST, bytes: manifest.to_string().into_bytes() };
    Image { manifest, config, layer, platform: json!({ "architecture": bundle.cpu.architecture(), "os": "linux" }) }
}

fn descriptor(blob: &Blob) -> Value {
    json!({ "mediaType": blob.kind, "digest": blob.digest(), "size": blob.bytes.len() })
}

/// Path and bytes of each file of the layout.
pub(super) fn files(image: &Image, name: &str) -> Vec<(String, Vec<u8>)> {
    let mut entry = descriptor(&image.manifest);
    entry["platform"] = image.platform.clone();
    let tag = name.split_once(':').map_or(name, |(_, tag)| tag);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] });
    let mut files = vec![
        ("oci-layout".to_owned(), json!({ "imageLayoutVersion": "1.0.0" }).to_string().into_bytes()),
        ("index.json".to_owned(), index.to_string().into_bytes()),
    ];
    files.extend([&image.manifest, &image.config, &image.layer].map(|blob| (path(blob), blob.bytes.clone())));
    files
}

/// The layout in one file, with the list that older dockers read.
pub(super) fn archive(image: &Image, name: &str) -> Vec<u8> {
    let list = json!([{
        "Config": path(&image.config),
        "RepoTags": [name],
        "Layers": [path(&image.layer)],
    }]);
    let mut files = files(image, name);
    files.push(("manifest.json".to_owned(), list.to_string().into_bytes()));
    files.sort();
    let mut archive = Builder::new(Vec::new());
    for folder in ["blobs/", "blobs/sha256/"] {
        layer::append(&mut archive, folder, EntryType::Directory, 0, 0o755, &[]);
    }
    for (path, bytes) in files {
        layer::append(&mut archive, &path, EntryType::Regular, 0, 0o644, &bytes);
    }
    layer::finish(archive)
}

fn path(blob: &Blob) -> String {
    format!("blobs/{}", blob.digest().replace(':', "/"))
}
