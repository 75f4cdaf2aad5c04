//! The files of a run, before it: those that are read can be read, and none is written over.
//!
//! It opens nothing for writing, and tells no contents: that is for those who read them.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use corelane_config::{Config, Input, Layers, Lines, Model, Work};
use corelane_infer::{InferConfig, ModelError};
use rustix::fs::{Access, access};

use super::error::RunError;

/// Links that lead from one to the next; the kernel follows as many.
const LINKS_MAX: usize = 40;

/// Refuses an output or a page (`report`) that would replace a file which the run itself uses.
pub(super) fn check_distinct(
    config: &Config,
    flow: &Path,
    report: Option<&Path>,
) -> Result<(), RunError> {
    let read = files_read(config, flow);
    let page = report.map(|report| ("the page".to_owned(), report.to_owned()));
    let output = config.output.file.as_deref();
    let written = [("output.file", output, read.iter().chain(page.as_ref()).collect::<Vec<_>>())];
    let report = [("the page", report, read.iter().collect())];
    for (name, file, others) in written.into_iter().chain(report) {
        let Some((file, identity)) = file.and_then(|file| Some((file, Identity::of(file)?))) else {
            continue;
        };
        let same = others.iter().find(|(_, other)| Identity::of(other).as_ref() == Some(&identity));
        if let Some((other, _)) = same {
            let (file, other) = (file.to_owned(), other.clone());
            return Err(RunError::SameFile { name, other, file });
        }
    }
    Ok(())
}

/// Looks whether the input and the models can be read, as far as that shows before anything waits.
pub(super) fn check_readable(config: &Config) -> Result<(), RunError> {
    let refused =
        |file: &Path, source| Err(RunError::Input { place: file.display().to_string(), source });
    match &config.input {
        Input::Lines(Lines::File(file)) => look_at_lines(file).or_else(|e| refused(file, e))?,
        Input::Follow { file, .. } => look_at_followed(file).or_else(|e| refused(file, e))?,
        _ => {}
    }
    for stage in &config.agents {
        if let Work::Model(Model::File(file)) = &stage.work {
            let stage = stage.name.clone();
            look_at_model(file).map_err(|source| RunError::Model { stage, source })?;
        }
    }
    Ok(())
}

/// The files that a run reads, and what they are to it.
fn files_read(config: &Config, flow: &Path) -> Vec<(String, PathBuf)> {
    let mut files = vec![("the flow".to_owned(), flow.to_owned())];
    match &config.input {
        Input::Lines(Lines::File(file)) | Input::Follow { file, .. } => {
            files.push(("the input".to_owned(), file.clone()));
        }
        Input::Lines(Lines::Stdin) => files.push(("the input".to_owned(), "/dev/stdin".into())),
        Input::Digits(_) | Input::Telemetry { .. } => {}
    }
    for stage in &config.agents {
        match &stage.work {
            Work::Model(Model::File(file)) => {
                files.push((format!("the model of stage {}", stage.name), file.clone()));
            }
            // A name without a slash is looked for in PATH.
            Work::Command { argv, .. } if argv[0].contains('/') => {
                files.push((format!("the tool of stage {}", stage.name), PathBuf::from(&argv[0])));
            }
            _ => {}
        }
    }
    let places = Layers::of_process(None, Vec::new()).places;
    files.extend(places.into_iter().map(|place| ("a file of settings".to_owned(), place)));
    files
}

/// Which file a path leads to, whatever it is called.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// The device and the number of one that is there.
    There(u64, u64),
    /// The folder that one would be made in, and its name there.
    Absent((u64, u64), OsString),
}

impl Identity {
    /// None of a terminal or of `/dev/null`, which are never written over.
    fn of(path: &Path) -> Option<Self> {
        let number = |found: &Metadata| (found.dev(), found.ino());
        match fs::metadata(path) {
            Ok(found) if found.file_type().is_char_device() => None,
            Ok(found) => Some(Self::There(found.dev(), found.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let path = link_end(path);
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = fs::metadata(folder.unwrap_or(Path::new("."))).ok()?;
                Some(Self::Absent(number(&folder), path.file_name()?.to_owned()))
            }
            Err(_) => None,
        }
    }
}

/// What a link to nothing names: that would be made.
fn link_end(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(end) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new(".")).join(end);
    }
    path
}

/// Whether lines can be read. A pipe is not opened: that would wait for its writer.
fn look_at_lines(file: &Path) -> io::Result<()> {
    let found = fs::metadata(file)?;
    if found.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    match found.file_type().is_fifo() {
        true => Ok(access(file, Access::READ_OK)?),
        false => File::open(file).map(drop),
    }
}

/// Whether a file can be followed. It need not be there yet.
fn look_at_followed(file: &Path) -> io::Result<()> {
    match fs::metadata(file) {
        Ok(found) if found.is_file() => File::open(file).map(drop),
        Ok(_) => {
            let reason = "it is no regular file and cannot be followed, input.lines reads pipes";
            Err(io::Error::other(reason))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a model is there and can be read; its contents are judged by who hosts it.
fn look_at_model(file: &Path) -> Result<(), ModelError> {
    let path = || file.to_owned();
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => ModelError::Missing { path: path() },
        _ => ModelError::Unreadable { path: path(), cause: Arc::new(error) },
    };
    let found = fs::metadata(file).map_err(failed)?;
    if !found.is_file() {
        return Err(failed(io::Error::other("it is no regular file")));
    }
    let (found, limit) = (found.len(), InferConfig::default().model_bytes_max);
    if found > limit {
        return Err(ModelError::TooLarge { path: path(), found, limit });
    }
    File::open(file).map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_the_same_under_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, hard] = ["file", "link", "hard"].map(|name| folder.path().join(name));
        // Neither is there yet: the end of the link would be made.
        symlink("file", &link).unwrap();
        assert!(matches!(Identity::of(&file), Some(Identity::Absent(..))));
        assert_eq!(Identity::of(&file), Identity::of(&link));
        let dotted = folder.path().join("./file");
        assert_eq!(Identity::of(&file), Identity::of(&dotted));
        assert_ne!(Identity::of(&file), Identity::of(&hard));
        fs::write(&file, "").unwrap();
        fs::hard_link(&file, &hard).unwrap();
        for other in [&link, &hard] {
            assert_eq!(Identity::of(&file), Identity::of(other));
        }
        assert_eq!(Identity::of(Path::new("/dev/null")), None);
    }

    #[test]
    fn links_in_a_circle_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        symlink("other", &one).unwrap();
        symlink("one", &other).unwrap();
        assert_eq!(Identity::of(&one), None);
    }
}
