//! The demo is the README's first command: it holds, as data too, beside a copy of itself, and leaves nothing behind.

use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tollgate_cli::process::{Ended, Input, Process};

use crate::support::{TOLLGATE, example, root};

/// For five acts in which a host starts three times, and compiles each time, beside all other tests.
const A_WHOLE_DEMO: Duration = Duration::from_secs(900);

async fn demo(temporary: &TempDir, arguments: &[&str]) -> Ended {
    let mut command = Command::new(TOLLGATE);
    command.arg("demo").args(arguments).current_dir(root()).env("TMPDIR", temporary.path());
    let demo = Process::start("the demo", &mut command, Input::Nothing).unwrap();
    demo.patient(A_WHOLE_DEMO).end().await.unwrap()
}

#[tokio::test]
async fn two_demos_at_once_hold_and_leave_nothing_behind() {
    example("thumbnails").await;
    let temporary = TempDir::new().unwrap();
    let (told, shown) = tokio::join!(demo(&temporary, &["--json"]), demo(&temporary, &[]));

    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let story: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(story["holds"], true);
    assert_eq!(story["acts"].as_array().unwrap().len(), 5);
    for row in story["table"].as_array().unwrap() {
        assert!(row["served"].as_u64().unwrap() > 0, "{row}");
        assert_eq!((&row["ledger"], &row["accepted"]), (&row["truth"], &row["truth"]), "{row}");
    }

    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(shown.stdout.contains("gigapixels") && shown.stdout.contains("equal"), "{}", shown.stdout);
    assert!(!shown.stderr.contains('\x1b'), "no colour into a pipe");
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
