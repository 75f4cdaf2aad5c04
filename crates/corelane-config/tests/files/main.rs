//! Files of flows as their writers meet them: what is read, what is refused and how that is told.

mod committed;
mod layers;
mod mistakes;
mod properties;
mod values;

use std::{fs, path::PathBuf};

use corelane_config::{Config, ConfigError, Layers, Loaded, load};

/// A file in a folder of its own.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new(content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let path = folder.path().join("flow.toml");
        fs::write(&path, content).expect("the temporary folder is writable");
        Self { _folder: folder, path }
    }

    fn layers(&self) -> Layers {
        Layers::of_file(&self.path)
    }

    fn load(&self) -> Result<Loaded, ConfigError> {
        load(&self.layers())
    }
}

/// The least that is a flow, with these lines after its stage.
fn flow(rest: &str) -> String {
    format!(
        "version = 1\n[input]\nlines = \"-\"\n[[agents]]\nname = \"a\"\nmodel = \"digits\"\n{rest}"
    )
}

#[track_caller]
fn good(text: &str) -> Config {
    File::new(text).load().unwrap_or_else(|error| panic!("{error}\n{text}")).config
}
