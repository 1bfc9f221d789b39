//! Sets a program's wall clock wrong, from outside.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process::output_of;
use crate::story::{Stage, workspace_dir};

/// Builds the shim and gives the environment that makes a program's wall clock wrong by so many seconds.
///
/// # Errors
/// When there is no C compiler.
pub async fn shifted_by(stage: &Stage, seconds: i64) -> Result<Vec<(String, String)>> {
    let shim: PathBuf = stage.folder().join("wall_clock.so");
    let source = workspace_dir().join("tests/support/wall_clock.c");
    let mut compile = Command::new("cc");
    compile
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .arg(&shim)
        .arg(source);
    output_of(&mut compile).await?;
    Ok(vec![
        ("LD_PRELOAD".to_owned(), shim.to_string_lossy().into_owned()),
        ("WALL_CLOCK_SHIFT_S".to_owned(), seconds.to_string()),
    ])
}
