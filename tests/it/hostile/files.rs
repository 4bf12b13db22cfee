//! Mounts: what the manifest names, below the operator's folder, and nothing around it.

use std::os::unix::fs::symlink;

use tollgate_cli::host::Started;

use super::manifest;
use crate::support::{Lab, body, guest, operator_sees};
use tollgate_cli::http::Http;

const MOUNTS: &str = r#"
[[component.mount]]
source = "in"
target = "/in"
[[component.mount]]
source = "out"
target = "/out"
write = true
"#;

/// A lab whose `hostile` component has two mounts; their root is `mounts` in its folder, beside `secret`.
async fn lab() -> Lab {
    let quiet = "\n[[component]]\nid = \"quiet\"";
    let manifest = manifest("").replace(quiet, &format!("{MOUNTS}{quiet}"));
    let lab = Lab::with(&std::fs::read(guest("hostile.wasm").await).unwrap(), &manifest).await;
    let folder = lab.folder.path();
    for name in ["mounts/in", "mounts/out", "mounts/other"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    std::fs::write(folder.join("secret"), "secret").unwrap();
    std::fs::write(folder.join("mounts/other/file"), "other").unwrap();
    std::fs::write(folder.join("mounts/in/file"), "given").unwrap();
    symlink(folder.join("secret"), folder.join("mounts/in/absolute")).unwrap();
    symlink("../../secret", folder.join("mounts/in/relative")).unwrap();
    symlink("file", folder.join("mounts/in/inside")).unwrap();
    lab
}

#[tokio::test]
async fn a_guest_sees_its_mounts_and_no_path_or_link_leads_out_of_them() {
    let lab = lab().await;
    let folder = lab.folder.path().to_owned();
    let host = lab.host().await.variable("TOLLGATE_MOUNTS", folder.join("mounts")).serve().await.unwrap();
    let mut story = Vec::new();
    for attempt in [
        "read?path=/in/file",
        "read?path=/in/inside",
        "read?path=/in/absolute",
        "read?path=/in/relative",
        "read?path=/in/../../secret",
        "read?path=/in/../other/file",
        "read?path=/secret",
        "write?path=/in/new",
        "write?path=/in/file",
        "write?path=/out/new",
        "write?path=/out/../other/new",
        "write?path=/out/new/",
        "link?to=../../secret&path=/out/link",
        "link?to=/etc/passwd&path=/out/away",
        "link?to=x&path=/in/link",
    ] {
        let said = body(Http::http1().get(&host.url(&format!("/hostile/{attempt}"))).await);
        story.push(format!("{attempt}: {said}"));
    }
    let quiet = body(Http::http1().get(&host.url("/quiet/read?path=/in/file")).await);
    story.push(format!("another component: {quiet}"));
    insta::assert_snapshot!(story.join("\n"));
    assert_eq!(std::fs::read_to_string(folder.join("mounts/out/new")).unwrap(), "written by a guest");
    assert_eq!(std::fs::read_to_string(folder.join("secret")).unwrap(), "secret");
}

#[tokio::test]
async fn without_a_folder_from_the_operator_exit_64_says_what_is_missing() {
    let lab = lab().await;
    let Started::Ended(ended) = lab.host().await.run().await.unwrap() else { panic!("the host serves") };
    insta::assert_snapshot!(operator_sees(&ended, lab.folder.path()));
}

#[tokio::test]
async fn a_mount_that_would_show_the_ledger_is_refused() {
    let lab = lab().await;
    let folder = lab.folder.path();
    let command = lab.host().await.variable("TOLLGATE_MOUNTS", folder.join("mounts"));
    let command = command.variable("TOLLGATE_LEDGER", folder.join("mounts/out/ledger"));
    let Started::Ended(ended) = command.run().await.unwrap() else { panic!("the host serves") };
    assert_eq!(ended.code, Some(64), "{}", ended.stderr);
    assert!(ended.stderr.contains("would show"), "{}", ended.stderr);
}
