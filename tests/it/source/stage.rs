//! The copy that is hashed while it is made.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use obreia::model::files::{self, HashRequest};
use obreia::source::SourceError;
use obreia::source::stage::copy_into;
use obreia::source::tree::{Symlinks, Tree, TreeOptions};

use super::file::{Meddler, append};
use super::{identity, open};
use crate::harness::{Scratch, not_run};

fn model(scratch: &Scratch) -> Tree {
    scratch.write("m/weights.bin", vec![9; 300_000]);
    scratch.write("m/a/b/c.json", "{}");
    scratch.write("m/empty", "");
    let tool = scratch.write("m/run.sh", "#!/bin/sh\n");
    fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
    open(scratch.join("m")).unwrap()
}

#[test]
fn the_copy_is_the_model_and_private() {
    let scratch = Scratch::new();
    let tree = model(&scratch);
    let place = scratch.join("copy");
    let (staged, hashed) = copy_into(&tree, &place, &HashRequest::whole(), &()).unwrap();
    assert!(!place.exists());
    assert_eq!(hashed, tree.hash(&HashRequest::whole(), &()).unwrap());
    assert_eq!(
        files::identity(&hashed).unwrap().to_string(),
        identity(staged.path())
    );
    assert_eq!(staged.commit().unwrap(), place);
    assert_eq!(identity(&place), identity(scratch.join("m")));
    let mode = |path: &str| fs::metadata(place.join(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode(""), mode("a/b")), (0o700, 0o700));
    assert_eq!((mode("weights.bin"), mode("run.sh")), (0o600, 0o700));
    assert_eq!(left_over(&scratch), Vec::<String>::new());
}

#[test]
fn a_copy_without_a_verdict_is_removed() {
    let scratch = Scratch::new();
    let tree = model(&scratch);
    let (staged, _) = copy_into(&tree, &scratch.join("copy"), &HashRequest::whole(), &()).unwrap();
    assert_eq!(left_over(&scratch).len(), 1);
    drop(staged);
    assert_eq!(left_over(&scratch), Vec::<String>::new());
    assert!(!scratch.join("copy").exists());
}

#[test]
fn a_single_file_is_copied_too() {
    let scratch = Scratch::new();
    let path = scratch.write("weights.bin", "w");
    let tree = open(&path).unwrap();
    let place = scratch.join("copy.bin");
    let (staged, hashed) = copy_into(&tree, &place, &HashRequest::whole(), &()).unwrap();
    assert_eq!(hashed[0].path, ".");
    staged.commit().unwrap();
    assert_eq!(scratch.read_text("copy.bin"), "w");
    assert_eq!(fs::metadata(&place).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(left_over(&scratch), Vec::<String>::new());
}

#[test]
fn links_become_what_they_lead_to() {
    let scratch = Scratch::new();
    scratch.write("hub/blobs/abc", "weights");
    fs::create_dir_all(scratch.join("hub/snapshots/x")).unwrap();
    symlink("../../blobs/abc", scratch.join("hub/snapshots/x/model.bin")).unwrap();
    let options = TreeOptions {
        symlinks: Symlinks::Within(scratch.join("hub")),
        ..TreeOptions::default()
    };
    let tree = Tree::open(&scratch.join("hub/snapshots/x"), &options).unwrap();
    let (staged, _) = copy_into(&tree, &scratch.join("copy"), &HashRequest::whole(), &()).unwrap();
    staged.commit().unwrap();
    let copied = fs::symlink_metadata(scratch.join("copy/model.bin")).unwrap();
    assert!(copied.is_file());
}

#[test]
fn a_place_that_is_taken_is_refused_at_the_beginning_and_at_the_end() {
    let scratch = Scratch::new();
    let tree = model(&scratch);
    let place = scratch.join("copy");
    for make in [
        (|p| fs::create_dir(p).unwrap()) as fn(&Path),
        |p| fs::write(p, "mine").unwrap(),
        |p| symlink("nowhere", p).unwrap(),
    ] {
        make(&place);
        let error = copy_into(&tree, &place, &HashRequest::whole(), &()).unwrap_err();
        assert!(matches!(error, SourceError::Exists(_)), "{error}");
        let _ = fs::remove_file(&place).or_else(|_| fs::remove_dir(&place));
        let (staged, _) = copy_into(&tree, &place, &HashRequest::whole(), &()).unwrap();
        make(&place);
        let error = staged.commit().unwrap_err();
        assert!(matches!(error, SourceError::Exists(_)), "{error}");
        assert!(!place.join("weights.bin").exists());
        let _ = fs::remove_file(&place).or_else(|_| fs::remove_dir(&place));
    }
    assert_eq!(left_over(&scratch), Vec::<String>::new());
}

#[test]
fn a_place_inside_the_model_or_nowhere_is_refused() {
    let scratch = Scratch::new();
    let tree = model(&scratch);
    let copy = |place: &str| copy_into(&tree, &scratch.join(place), &HashRequest::whole(), &());
    let error = copy("m/copy").unwrap_err();
    assert!(matches!(error, SourceError::InsideSource { .. }), "{error}");
    let error = copy("absent/copy").unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_model_that_changes_while_it_is_copied_leaves_nothing() {
    let scratch = Scratch::new();
    let tree = model(&scratch);
    let path = scratch.join("m/weights.bin");
    let meddler = Meddler::new(&path, append);
    let error = copy_into(
        &tree,
        &scratch.join("copy"),
        &HashRequest::whole(),
        &meddler,
    )
    .unwrap_err();
    assert!(matches!(error, SourceError::Changed(_)), "{error}");
    assert_eq!(left_over(&scratch), Vec::<String>::new());
}

#[test]
fn what_stands_in_the_way_of_a_copy_is_neither_followed_nor_written() {
    // As only this user, or root, could put it there.
    struct Meddler<'a>(&'a Scratch);
    impl obreia::source::Progress for Meddler<'_> {
        fn add(&self, _bytes: u64) {
            for folder in left_over(self.0) {
                let _there_already = symlink(
                    self.0.join("outside"),
                    self.0.join(folder).join("copy/small"),
                );
            }
        }
    }
    let scratch = Scratch::new();
    scratch.write("outside", "mine");
    // The largest is copied first, and so few bytes by one thread.
    scratch.write("m/large", vec![1; 1000]);
    scratch.write("m/small", "evil");
    let tree = open(scratch.join("m")).unwrap();
    let error = copy_into(
        &tree,
        &scratch.join("copy"),
        &HashRequest::whole(),
        &Meddler(&scratch),
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("copy/small: File exists"),
        "{error}"
    );
    assert_eq!(scratch.read("outside"), b"mine");
    assert_eq!(left_over(&scratch), Vec::<String>::new());
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing() {
    let scratch = Scratch::new();
    scratch.write("m/weights.bin", vec![9; 3 << 20]);
    let tree = open(scratch.join("m")).unwrap();
    let small = scratch.join("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&small)
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        return not_run("a small file system cannot be mounted here");
    }
    let result = copy_into(&tree, &small.join("copy"), &HashRequest::whole(), &());
    let left = fs::read_dir(&small).unwrap().count();
    let unmounted = Command::new("umount").arg(&small).status().unwrap();
    assert!(unmounted.success());
    let error = result.unwrap_err().to_string();
    assert!(
        error.contains("cannot write") && error.contains("copy/weights.bin: No space left"),
        "{error}"
    );
    assert_eq!(left, 0);
}

#[test]
fn a_read_only_mount_is_told_from_a_writable_one() {
    let scratch = Scratch::new();
    scratch.write("m/inner/a", "1");
    let model = scratch.join("m");
    assert!(!open(&model).unwrap().is_on_read_only_mounts());
    let mount = |args: &[&str], at: &Path| {
        Command::new("mount")
            .args(args)
            .arg(at)
            .status()
            .is_ok_and(|s| s.success())
    };
    let text = model.to_str().unwrap();
    if !mount(&["--bind", text], &model) {
        return not_run("a bind mount cannot be made here");
    }
    let read_only = mount(&["-o", "remount,bind,ro"], &model);
    let outer = open(&model).unwrap().is_on_read_only_mounts();
    let inner = open(model.join("inner")).unwrap().is_on_read_only_mounts();
    // A link on the way can be turned to something else.
    symlink("m", scratch.join("way")).unwrap();
    let linked = obreia::source::mount::is_read_only(&scratch.join("way/inner"));
    // A writable mount inside a read-only one makes the whole writable.
    let sub = mount(&["-t", "tmpfs", "tmpfs"], &model.join("inner"));
    scratch.write("m/inner/b", "2");
    let mixed = open(&model).unwrap().is_on_read_only_mounts();
    let _ = Command::new("umount").arg(model.join("inner")).status();
    let _ = Command::new("umount").arg(&model).status();
    assert!(read_only && sub);
    assert_eq!((outer, inner, linked, mixed), (true, true, false, false));
}

/// What a copy leaves beside its place.
fn left_over(scratch: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(scratch.path()).unwrap();
    entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".obreia"))
        .collect()
}
