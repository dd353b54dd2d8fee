//! The fuzz target for settings files and for values of settings.

use super::file::layer_of_file;
use super::layer::{KEYS, Layer};
use std::path::Path;

/// Parses the bytes as a settings file, and as the value of each setting.
///
/// # Panics
/// If an error has a control character, such as a line end, or if a layer changes when it is laid over an empty layer.
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("/folder/lightclient.toml");
    match layer_of_file(text, path, Some(Path::new("/home"))) {
        Ok(layer) => assert_eq!(layer.clone().over(Layer::default()), layer),
        Err(error) => assert_one_line(&error.to_string()),
    }
    let values = [text.to_owned()];
    for key in KEYS {
        if let Err(error) = Layer::default().set(key, &values) {
            assert_one_line(&error.to_string());
        }
    }
}

fn assert_one_line(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
