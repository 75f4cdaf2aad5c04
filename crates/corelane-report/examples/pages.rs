//! Writes the imagined pages of the tests into a folder, for a browser to look at:
//! `cargo run -p corelane-report --example pages -- FOLDER`.

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::path::Path;

use corelane_report::{PageError, Target};

fn main() -> Result<(), PageError> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| ".".into());
    for (name, page) in [("large.html", sample::large()), ("empty.html", sample::empty())] {
        Target::prepare(&Path::new(&folder).join(name))?.write(&page.render())?;
    }
    Ok(())
}
