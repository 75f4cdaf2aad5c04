//! A binary whose model or digits are damaged: it says so instead of guessing digits.

use std::{fs, os::unix::fs::FileExt, path::PathBuf, process::Command};

use corelane_testkit::process::{Ended, Output, Place};

/// A copy of the binary under test, in the folder of a place.
struct Copy<'place> {
    place: &'place Place,
    path: PathBuf,
}

impl<'place> Copy<'place> {
    fn new(place: &'place Place) -> Self {
        let path = place.runtime_folder().join("damaged");
        fs::copy(env!("CARGO_BIN_EXE_corelane"), &path).expect("there is room for a copy");
        Self { place, path }
    }

    /// Flips a bit of a file that is embedded in the copy, runs a demo, and repairs it.
    fn run_damaged(&self, embedded: &str, mark: &str) -> Ended {
        let embedded = fs::read(format!("{}/{embedded}", env!("CARGO_MANIFEST_DIR")));
        let embedded = embedded.expect("it is committed");
        let at = self.find(mark, &embedded);
        let middle = embedded.len() / 2;
        self.write(embedded[middle] ^ 1, at + middle as u64);
        let mut command = self.place.command(&self.path);
        command.args(["demo", "--json", "--load-seconds", "0.1"]);
        let ended = self.place.start(command, Output::Pipes).wait();
        self.write(embedded[middle], at + middle as u64);
        ended
    }

    fn write(&self, byte: u8, at: u64) {
        let file = fs::OpenOptions::new().write(true).open(&self.path).expect("it is ours");
        file.write_all_at(&[byte], at).expect("it is ours");
    }

    /// Where the copy has these bytes; `mark` is a text within them that is rare elsewhere.
    fn find(&self, mark: &str, bytes: &[u8]) -> u64 {
        let inside = bytes.windows(mark.len()).position(|window| window == mark.as_bytes());
        let inside = inside.expect("the mark is within the file") as u64;
        let found = Command::new("grep").args(["-obaF", mark]).arg(&self.path).output();
        let found = String::from_utf8_lossy(&found.expect("grep runs").stdout).into_owned();
        let file = fs::File::open(&self.path).expect("it is ours");
        let mut read = vec![0; bytes.len()];
        let offsets = found.lines().filter_map(|line| line.split(':').next()?.parse::<u64>().ok());
        let mut starts = offsets.filter_map(|offset| offset.checked_sub(inside));
        let start =
            starts.find(|start| file.read_exact_at(&mut read, *start).is_ok() && read == bytes);
        start.expect("the binary carries the file")
    }
}

#[test]
fn damaged_digits_and_a_damaged_model_are_told() {
    let place = Place::new();
    let copy = Copy::new(&place);
    let digits = copy.run_damaged("models/data/digits.bin", "CLDIGIT1");
    assert_eq!((digits.code(), digits.stdout.as_str()), (1, ""), "{}", digits.stderr);
    for part in ["digits within the binary", "data/digits.bin", "hash"] {
        assert!(digits.stderr.contains(part), "no {part:?} in\n{}", digits.stderr);
    }

    // The model is the worker's: it dies at every start, until the restart budget is spent.
    let model = copy.run_damaged("models/digits/1/model.onnx", "centre_norms");
    assert_eq!((model.code(), model.stdout.as_str()), (1, ""), "{}", model.stderr);
    let deaths = model.stderr.matches("model within the binary").count();
    assert!(deaths > 1, "a worker starts again: {}", model.stderr);
    let last = model.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("corelane: ") && last.contains("restart"), "{}", model.stderr);

    fs::remove_file(&copy.path).expect("it is ours");
    place.assert_empty();
}
