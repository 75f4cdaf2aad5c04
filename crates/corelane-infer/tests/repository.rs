//! Manifest and repository against files that are right, missing, damaged or hostile.

use std::fs;
use std::path::Path;

use corelane_infer::{Dtype, Manifest, ModelError, Repository, TensorSpec};

const LIMIT: u64 = 1 << 20;
const HELLO_SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn manifest(file: &str, bytes: usize, sha256: &str) -> String {
    format!(
        "version = 1\n[[model]]\nid = \"m\"\nversion = 1\nfile = \"{file}\"\nbytes = {bytes}\n\
         sha256 = \"{sha256}\"\nlicence = \"MIT\"\ntrained_by = \"x.py\"\n\
         [[model.input]]\nname = \"x\"\ndtype = \"f32\"\nshape = [\"batch\", 4]\n\
         [[model.output]]\nname = \"y\"\ndtype = \"i64\"\nshape = [\"batch\"]\n"
    )
}

/// A folder whose one model says "hello" as far as the manifest knows.
fn read_with_content(content: Option<&[u8]>, limit: u64) -> Result<Vec<u8>, ModelError> {
    let folder = tempfile::tempdir().unwrap();
    let text = manifest("a.onnx", 5, HELLO_SHA256);
    fs::write(folder.path().join("manifest.toml"), text).unwrap();
    if let Some(content) = content {
        fs::write(folder.path().join("a.onnx"), content).unwrap();
    }
    let repository = Repository::open(folder.path(), limit)?;
    repository.read("m", None).map(|(_, bytes)| bytes)
}

#[test]
fn a_file_is_read_when_length_and_hash_agree() {
    assert_eq!(read_with_content(Some(b"hello"), LIMIT).unwrap(), b"hello");
    assert_eq!(read_with_content(Some(b"hello"), 5).unwrap(), b"hello");
}

#[test]
fn each_damage_has_its_own_error() {
    use ModelError::{HashMismatch, Missing, Overlong, TooLarge, Truncated};
    let read = |content: &[u8]| read_with_content(Some(content), LIMIT).unwrap_err();
    assert!(
        matches!(read_with_content(None, LIMIT), Err(Missing { path }) if path.ends_with("a.onnx"))
    );
    assert!(matches!(read(b"hell"), Truncated { found: 4, expected: 5, .. }));
    assert!(matches!(read(b"hello!"), Overlong { found: 6, expected: 5, .. }));
    assert!(matches!(read(b"hellO"), HashMismatch { expected, .. } if expected == HELLO_SHA256));
    let large = read_with_content(Some(b"hello"), 4);
    assert!(matches!(large, Err(TooLarge { found: 5, limit: 4, .. })));
}

#[test]
fn a_folder_without_manifest_is_missing_its_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let error = Repository::open(folder.path(), LIMIT).unwrap_err();
    assert!(matches!(error, ModelError::Missing { path } if path.ends_with("manifest.toml")));
}

#[test]
fn an_unknown_model_lists_the_known_ones() {
    let manifest = Manifest::parse(&manifest("a", 5, HELLO_SHA256)).unwrap();
    for (id, version) in [("n", None), ("m", Some(2))] {
        let error = manifest.find(id, version).unwrap_err();
        assert!(
            matches!(&error, ModelError::Unknown { known, .. } if known == &["m@1"]),
            "{error}"
        );
    }
}

#[test]
fn the_highest_version_is_the_current_one() {
    let first = manifest("a", 5, HELLO_SHA256);
    let second =
        first.replace("version = 1\n[[model]]", "[[model]]").replace("version = 1", "version = 12");
    let both = Manifest::parse(&(first.clone() + &second)).unwrap();
    assert_eq!(both.find("m", None).unwrap().version, 12);
    assert_eq!(both.find("m", Some(1)).unwrap().version, 1);

    let twice = first.clone() + &first.replace("version = 1\n[[model]]", "[[model]]");
    let error = Manifest::parse(&twice).unwrap_err();
    assert!(matches!(error, ModelError::Entry { field: "version", .. }), "{error}");
}

#[test]
fn a_manifest_says_nothing_unknown_and_names_nothing_outside() {
    let good = manifest("a", 5, HELLO_SHA256);
    let unknown = Manifest::parse(&good.replace("licence", "license"));
    assert!(matches!(unknown, Err(ModelError::Manifest { .. })));
    let newer = Manifest::parse(&good.replacen("version = 1", "version = 2", 1));
    assert!(matches!(newer, Err(ModelError::ManifestVersion { found: 2, expected: 1 })));
    for file in ["../a", "/a", "b/../../a", "./a", ""] {
        let error = Manifest::parse(&manifest(file, 5, HELLO_SHA256)).unwrap_err();
        assert!(matches!(error, ModelError::Entry { field: "file", .. }), "{file}: {error}");
    }
    for sha256 in ["", "zz", &HELLO_SHA256.to_uppercase()] {
        let error = Manifest::parse(&manifest("a", 5, sha256)).unwrap_err();
        assert!(matches!(error, ModelError::Entry { field: "sha256", .. }), "{sha256}: {error}");
    }
}

#[test]
fn the_open_axis_takes_the_batch() {
    let manifest = Manifest::parse(&manifest("a", 5, HELLO_SHA256)).unwrap();
    let entry = manifest.find("m", None).unwrap();
    let input = TensorSpec { name: "x".into(), dtype: Dtype::F32, shape: vec![3, 4] };
    let output = TensorSpec { name: "y".into(), dtype: Dtype::I64, shape: vec![3] };
    assert_eq!((entry.inputs_at(3), entry.outputs_at(3)), (vec![input], vec![output]));
}

#[test]
fn every_committed_model_and_its_data_are_what_the_manifest_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let repository = Repository::open(&folder, LIMIT).unwrap();
    assert!(!repository.manifest().models.is_empty());
    for entry in &repository.manifest().models {
        repository.read(&entry.id, Some(entry.version)).unwrap();
        if let Some(accuracy) = &entry.accuracy {
            let mut data = std::fs::read(folder.join(&accuracy.data)).unwrap();
            accuracy.verify_data(&data).unwrap();
            data[20] ^= 1;
            let error = accuracy.verify_data(&data).unwrap_err();
            assert!(matches!(error, ModelError::HashMismatch { .. }), "{error}");
            data.pop();
            let error = accuracy.verify_data(&data).unwrap_err();
            assert!(matches!(error, ModelError::Truncated { .. }), "{error}");
        }
    }
}

#[test]
fn a_folder_in_the_place_of_a_model_is_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("manifest.toml")).unwrap();
    let error = Repository::open(folder.path(), LIMIT).unwrap_err();
    assert!(matches!(error, ModelError::Unreadable { .. }), "{error}");
}
