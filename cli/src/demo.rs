//! `tollgate demo`: the whole story in five acts, on this machine, with every number checked.
//!
//! A paid product is refused without a subscription, serves with one, has its usage accepted hour by hour, and is
//! killed in the middle of it. What customers got, what the host wrote, what AWS said and what AWS would bill are
//! counted by four who do not know each other, and must be equal.

mod acts;
mod picture;
mod story;
mod traffic;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::arguments::Demo;
use crate::interrupt;
use crate::trouble::{Result, Trouble};
use crate::words;
use story::Story;

/// Plays all acts.
///
/// # Errors
/// Something does not hold, or cannot be tried.
pub async fn run(arguments: Demo) -> Result<()> {
    let product = example()?;
    let folder = TempDir::with_prefix("tollgate-demo-")
        .map_err(|error| Trouble::file("make a folder in", &std::env::temp_dir(), &error))?;
    let mut story = Story::new(arguments.json);
    let played = interrupt::or(acts::play(&product, folder.path(), &mut story)).await;
    if arguments.keep {
        words::detail(&format!("kept: {}", folder.keep().display()));
    }
    played?;
    if arguments.json {
        words::data(&story.data().to_string());
    }
    if !story.holds() {
        return Err(Trouble::fails(
            "the demo does not hold: see FAIL above",
            "a fault of Tollgate",
            "run it again with --keep and report it with the ledger in that folder",
        ));
    }
    words::title("All of it holds.");
    Ok(())
}

/// The example that is shown. The demo belongs to a clone of the repository.
fn example() -> Result<PathBuf> {
    let here = Path::new("examples/thumbnails");
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/thumbnails");
    [here.to_owned(), built_from].into_iter().find(|folder| folder.join("product.toml").exists()).ok_or_else(|| {
        Trouble::new(
            "there is no examples/thumbnails here",
            "the demo shows an example of the Tollgate repository",
            "run it from a clone: cargo run -p tollgate-cli -- demo",
        )
    })
}
