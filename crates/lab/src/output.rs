//! Outputs that are whole or not there: written beside their place, then renamed into it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::error::{Error, Result};

/// Unfinished outputs, so that an interrupt can remove them.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file or a folder that takes its name only when it is finished.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    temporary: PathBuf,
}

/// A folder that holds one of these was written by Levelhead and may be replaced.
const MARKS: [&str; 3] = ["run.json", "audit.json", "ablation.json"];

impl Output {
    /// Prepares a file at `path`. Dropped at once, it tells before a long run whether its result can be written.
    ///
    /// # Errors
    /// [`Error::Exists`] where there is something already and `force` is not set; [`Error::Format`] where the folder is
    /// missing or the path is a folder.
    pub fn prepare(path: &Path, force: bool) -> Result<Output> {
        let output = Output::prepare_folder(path, force)?;
        if path.is_dir() {
            return Err(Error::format(path, "is a folder, a file is written: choose another name"));
        }
        Ok(output)
    }

    /// Prepares a folder at `path`.
    ///
    /// # Errors
    /// As [`Output::prepare`]; [`Error::Format`] where a folder that is there was not written by Levelhead.
    pub fn prepare_folder(path: &Path, force: bool) -> Result<Output> {
        if path.exists() && !force {
            return Err(Error::Exists { path: path.to_path_buf() });
        }
        if path.is_dir() && !MARKS.iter().any(|mark| path.join(mark).is_file()) {
            return Err(Error::format(
                path,
                "this folder was not written by levelhead, so it is not replaced: choose another name",
            ));
        }
        let name = path.file_name().ok_or_else(|| Error::format(path, "an output needs a file name"))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let reason = format!("folder {} is not there: create it first", folder.display());
            return Err(Error::format(path, reason));
        }
        let temporary = folder.join(format!(".{}.{}.unfinished", name.to_string_lossy(), std::process::id()));
        UNFINISHED.lock().expect("no panic while held").push(temporary.clone());
        Ok(Output { path: path.to_path_buf(), temporary })
    }

    /// Where to write until the output is finished.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Creates the unfinished file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(&self) -> Result<BufWriter<File>> {
        let file = File::create(&self.temporary).map_err(|e| Error::write(&self.path, e))?;
        Ok(BufWriter::with_capacity(1 << 16, file))
    }

    /// Creates the unfinished folder.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create_folder(&self) -> Result<&Path> {
        fs::create_dir(&self.temporary).map_err(|e| Error::write(&self.path, e))?;
        Ok(&self.temporary)
    }

    /// Puts the finished output in its place; what was there is replaced.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<()> {
        if self.path.is_dir() {
            // A folder cannot be renamed over one that holds files: move the old one aside first.
            let aside = self.temporary.with_extension("replaced");
            fs::rename(&self.path, &aside).map_err(|e| Error::write(&self.path, e))?;
            fs::rename(&self.temporary, &self.path).map_err(|e| Error::write(&self.path, e))?;
            return fs::remove_dir_all(&aside).map_err(|e| Error::write(&aside, e));
        }
        fs::rename(&self.temporary, &self.path).map_err(|e| Error::write(&self.path, e))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        remove(&self.temporary);
        UNFINISHED.lock().expect("no panic while held").retain(|p| *p != self.temporary);
    }
}

/// Writes a whole file at once, or nothing.
///
/// # Errors
/// As [`Output::prepare`].
pub fn write_file(path: &Path, bytes: &[u8], force: bool) -> Result<()> {
    let output = Output::prepare(path, force)?;
    let mut file = output.create()?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(|e| Error::write(path, e))?;
    output.finish()
}

/// Removes what is unfinished: for an interrupt, after which no destructor runs.
pub fn remove_unfinished() {
    for path in UNFINISHED.lock().map(|paths| paths.clone()).unwrap_or_default() {
        remove(&path);
    }
}

fn remove(path: &Path) {
    // Nothing to do about a failure: the file may be gone already, and a leftover bears its name.
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write_file(&path, b"good", false).unwrap();
        assert!(write_file(&path, b"other", false).unwrap_err().to_string().contains("--force"));
        {
            let output = Output::prepare(&path, true).unwrap();
            output.create().unwrap().write_all(b"half").unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"good");
        write_file(&path, b"new", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        for content in ["one", "two"] {
            let output = Output::prepare_folder(&path, true).unwrap();
            let folder = output.create_folder().unwrap();
            fs::write(folder.join(content), content).unwrap();
            fs::write(folder.join("run.json"), content).unwrap();
            output.finish().unwrap();
        }
        assert!(!path.join("one").exists() && path.join("two").exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::remove_file(path.join("run.json")).unwrap();
        let error = Output::prepare_folder(&path, true).unwrap_err().to_string();
        assert!(error.contains("not written by levelhead"), "{error}");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = Output::prepare(Path::new("/no/such/folder/x.csv"), false).unwrap_err().to_string();
        assert!(error.contains("/no/such/folder is not there"), "{error}");
    }
}
