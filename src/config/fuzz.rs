//! The fuzzer's target: settings files, and values of settings.

use super::layer::{KEYS, Layer};
use super::load::layer_of_file;
use std::path::Path;

/// The error of a file or value is one line.
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("/folder/lightclient.toml");
    match layer_of_file(text, path, Some(Path::new("/home"))) {
        Ok(layer) => assert_eq!(layer.clone().over(Layer::default()), layer),
        Err(error) => is_one_line(&error.to_string()),
    }
    let values = [text.to_owned()];
    for key in KEYS {
        if let Err(error) = Layer::default().set(key, &values) {
            is_one_line(&error.to_string());
        }
    }
}

fn is_one_line(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
