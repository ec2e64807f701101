//! The link by which Sigstore's tools find obreia.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::ops::{Exit, Failure};

/// What the link is called: the program that answers to `kms://`.
pub const PROGRAM: &str = "sigstore-kms-kms";

/// A link that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The link.
    pub link: PathBuf,
    /// Whether it led to the same program before.
    pub existed: bool,
}

/// Makes the link to `program` in `folder`. One that leads to an obreia
/// elsewhere is turned to this one in one step.
///
/// # Errors
/// Usage, where something else stands in its place; undetermined, where the
/// folder cannot be written.
pub fn install(program: &Path, folder: &Path) -> Result<Installed, Failure> {
    let link = folder.join(PROGRAM);
    let done = |existed| Installed {
        link: link.clone(),
        existed,
    };
    let failed = |e: &io::Error| cannot("make", &link, e);
    match led_to(&link, program)? {
        Some(target) if target == program => Ok(done(true)),
        Some(_) => {
            let beside = tempfile::Builder::new()
                .prefix(".sigstore-kms-kms.")
                .make_in(folder, |path| symlink(program, path))
                .map_err(|e| failed(&e))?;
            beside.persist(&link).map_err(|e| failed(&e.error))?;
            Ok(done(false))
        }
        // Fails where somebody was first, whatever he put there.
        None => match symlink(program, &link) {
            Ok(()) => Ok(done(false)),
            Err(e) => Err(failed(&e)),
        },
    }
}

/// Removes the link from `folder`; tells whether there was one.
///
/// # Errors
/// As [`install`].
pub fn uninstall(program: &Path, folder: &Path) -> Result<bool, Failure> {
    let link = folder.join(PROGRAM);
    if led_to(&link, program)?.is_none() {
        return Ok(false);
    }
    fs::remove_file(&link).map_err(|e| cannot("remove", &link, &e))?;
    Ok(true)
}

/// Where our own link leads; `None` where nothing stands in its place.
fn led_to(link: &Path, program: &Path) -> Result<Option<PathBuf>, Failure> {
    match link.symlink_metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(cannot("look at", link, &e)),
        Ok(found) if found.file_type().is_symlink() => {
            let target = fs::read_link(link).map_err(|e| cannot("look at", link, &e))?;
            let named = target.file_name() == Some("obreia".as_ref());
            let same = || match (link.canonicalize(), program.canonicalize()) {
                (Ok(found), Ok(own)) => found == own,
                _ => false,
            };
            if named || same() {
                return Ok(Some(target));
            }
        }
        Ok(_) => {}
    }
    Err(Failure::new(
        Exit::Usage,
        format!(
            "{} is there already, and does not lead to obreia",
            link.display()
        ),
    )
    .code("exists")
    .hint("another plugin answers to kms://; choose another folder with --dir DIR, or remove it"))
}

fn cannot(verb: &str, link: &Path, error: &io::Error) -> Failure {
    let exit = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Exit::Usage,
        _ => Exit::Undetermined,
    };
    Failure::new(exit, format!("cannot {verb} {}", link.display()))
        .cause(error)
        .hint("name a folder of PATH that you may write with --dir DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_made_turned_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (old, new) = (Path::new("/old/obreia"), Path::new("/new/obreia"));
        let link = folder.join(PROGRAM);
        assert!(!uninstall(new, folder).unwrap());
        assert!(!install(old, folder).unwrap().existed);
        assert!(install(old, folder).unwrap().existed);
        // The old one is gone: a link that leads nowhere is still ours.
        assert!(!install(new, folder).unwrap().existed);
        assert_eq!(fs::read_link(&link).unwrap(), new);
        assert!(uninstall(new, folder).unwrap());
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_ours_stays() {
        let program = Path::new("/new/obreia");
        for theirs in ["file", "link", "folder"] {
            let folder = tempfile::tempdir().unwrap();
            let link = folder.path().join(PROGRAM);
            match theirs {
                "file" => fs::write(&link, "#!/bin/sh").unwrap(),
                "link" => symlink("/usr/bin/true", &link).unwrap(),
                _ => fs::create_dir(&link).unwrap(),
            }
            for failure in [
                install(program, folder.path()).unwrap_err(),
                uninstall(program, folder.path()).unwrap_err(),
            ] {
                assert_eq!(failure.exit, Exit::Usage, "{theirs}");
                assert_eq!(failure.code, Some("exists"));
            }
            assert!(link.symlink_metadata().is_ok());
        }
    }

    #[test]
    fn folders_that_are_not_there() {
        let failure = install(Path::new("/x/obreia"), Path::new("/nowhere")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.hint.is_some_and(|hint| hint.contains("--dir")));
    }
}
