//! Expands `~` in the paths of settings, and resolves relative paths.

use super::error::ConfigError;
use super::layer::Layer;
use super::values::HintsSource;
use std::path::{Path, PathBuf};

/// Replaces `~` at the start of a path with the home folder. A shell does not do so in `--data-dir=~/x`, and does not
/// see paths in a settings file.
///
/// # Errors
/// The path begins with `~` and the home folder is not known, or the path begins with `~` and a user's name.
pub(super) fn expand_home(path: PathBuf, home: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let first = path.components().next().map(|first| first.as_os_str().to_string_lossy());
    match first.as_deref() {
        Some("~") if let Some(home) = home => {
            Ok(path.iter().skip(1).fold(home.to_owned(), |p, n| p.join(n)))
        }
        Some(first) if first.starts_with('~') => Err(ConfigError::Home { path }),
        _ => Ok(path),
    }
}

/// Expands `~` in the paths of a layer.
pub(super) fn expand_homes(mut layer: Layer, home: Option<&Path>) -> Result<Layer, ConfigError> {
    layer.data_dir = layer.data_dir.map(|path| expand_home(path, home)).transpose()?;
    if let Some(HintsSource::File(path)) = layer.hints {
        layer.hints = Some(HintsSource::File(expand_home(path, home)?));
    }
    let cookie_file = layer.serve.rpc_cookie_file;
    layer.serve.rpc_cookie_file = cookie_file.map(|path| expand_home(path, home)).transpose()?;
    Ok(layer)
}

/// Resolves relative paths of a settings file against the folder of the file.
pub(super) fn relative_to_file(mut layer: Layer, file: &Path) -> Layer {
    let base = file.parent().unwrap_or(Path::new(""));
    layer.data_dir = layer.data_dir.map(|path| base.join(path));
    layer.serve.rpc_cookie_file = layer.serve.rpc_cookie_file.map(|path| base.join(path));
    if let Some(HintsSource::File(path)) = layer.hints {
        layer.hints = Some(HintsSource::File(base.join(path)));
    }
    layer
}
