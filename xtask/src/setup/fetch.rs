//! What is fetched into a folder of the cache.

use anyhow::{Context as _, Result};
use std::path::Path;

/// Has `fetch` fill a folder, and puts it at `place` once it is whole: one that breaks off leaves nothing that looks
/// finished.
pub fn whole(place: &Path, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let parent = place.parent().context("the cache has no parent folder")?;
    std::fs::create_dir_all(parent).with_context(|| format!("failed to make {}", parent.display()))?;
    let scratch = parent.join(format!(".fetching-{}", std::process::id()));
    let fetched = fetch(&scratch).and_then(|()| {
        std::fs::remove_dir_all(place).ok();
        std::fs::rename(&scratch, place).with_context(|| format!("failed to make {}", place.display()))
    });
    std::fs::remove_dir_all(&scratch).ok();
    fetched
}
