//! Models with symlinks.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use obreia::crypto::sha256;
use obreia::model::files::{self, HashRequest};
use obreia::source::SourceError;
use obreia::source::tree::{Symlinks, Tree, TreeOptions};

use super::{identity, open, paths, pipe};
use crate::harness::Scratch;

fn with(path: impl AsRef<Path>, symlinks: Symlinks) -> Result<Tree, SourceError> {
    let options = TreeOptions {
        symlinks,
        ..TreeOptions::default()
    };
    Tree::open(path.as_ref(), &options)
}

fn linked_identity(tree: &Tree) -> String {
    let hashed = tree.hash(&HashRequest::whole(), &()).unwrap();
    files::identity(&hashed).unwrap().to_string()
}

/// A model hub's cache: `snapshots/x/` holds links into `blobs/`.
fn hub(scratch: &Scratch) {
    scratch.write("hub/blobs/abc", "weights");
    scratch.write("hub/blobs/def", "{}");
    scratch.write("hub/secret", "s");
    fs::create_dir_all(scratch.join("hub/snapshots/x/sub")).unwrap();
    symlink("../../blobs/abc", scratch.join("hub/snapshots/x/model.bin")).unwrap();
    symlink(
        "../../../blobs/def",
        scratch.join("hub/snapshots/x/sub/config.json"),
    )
    .unwrap();
}

#[test]
fn links_are_refused_unless_asked_for() {
    let scratch = Scratch::new();
    hub(&scratch);
    let error = open(scratch.join("hub/snapshots/x")).unwrap_err();
    assert!(
        matches!(&error, SourceError::Symlink(p) if p.ends_with("x/model.bin")),
        "{error}"
    );
    // The model itself, as model-signing refuses it, with and without a final slash.
    symlink("hub", scratch.join("link")).unwrap();
    for path in ["link", "link/"] {
        assert!(
            matches!(open(scratch.join(path)), Err(SourceError::Symlink(_))),
            "{path}"
        );
    }
    symlink("hub/blobs/abc", scratch.join("file-link")).unwrap();
    assert!(matches!(
        open(scratch.join("file-link")),
        Err(SourceError::Symlink(_))
    ));
}

#[test]
fn a_hub_cache_is_the_model_it_shows() {
    let scratch = Scratch::new();
    hub(&scratch);
    let snapshot = scratch.join("hub/snapshots/x");
    let tree = with(&snapshot, Symlinks::Within(scratch.join("hub"))).unwrap();
    assert_eq!(paths(&tree), ["model.bin", "sub/config.json"]);
    assert!(tree.entries().iter().all(|e| e.linked));
    scratch.write("plain/model.bin", "weights");
    scratch.write("plain/sub/config.json", "{}");
    assert_eq!(linked_identity(&tree), identity(scratch.join("plain")));
}

#[test]
fn a_link_never_leads_out() {
    let scratch = Scratch::new();
    hub(&scratch);
    let snapshot = scratch.join("hub/snapshots/x");
    // Within the snapshot alone, the blobs are outside.
    let error = with(&snapshot, Symlinks::Inside).unwrap_err();
    assert!(matches!(error, SourceError::Escapes { .. }), "{error}");
    assert!(
        error.to_string().contains("../../blobs/abc leads out of"),
        "{error}"
    );
    let outside = scratch.write("outside", "o");
    for target in [
        "../../../outside",
        outside.to_str().unwrap(),
        "/proc/self/environ",
    ] {
        let link = snapshot.join("evil");
        symlink(target, &link).unwrap();
        let error = with(&snapshot, Symlinks::Within(scratch.join("hub"))).unwrap_err();
        assert!(
            matches!(&error, SourceError::Escapes { path, .. } if *path == link),
            "{error}"
        );
        fs::remove_file(&link).unwrap();
    }
    let error = with(scratch.join("hub"), Symlinks::Within(snapshot)).unwrap_err();
    assert!(matches!(error, SourceError::NotWithin { .. }), "{error}");
}

#[test]
fn a_link_that_is_turned_between_listing_and_reading_is_refused() {
    let scratch = Scratch::new();
    hub(&scratch);
    let link = scratch.join("hub/snapshots/x/model.bin");
    scratch.write("outside", "weights");
    for target in [
        "../../blobs/def",
        "../../secret",
        "../../../outside",
        "nowhere",
    ] {
        let _old = fs::remove_file(&link);
        symlink("../../blobs/abc", &link).unwrap();
        let tree = with(
            scratch.join("hub/snapshots/x"),
            Symlinks::Within(scratch.join("hub")),
        )
        .unwrap();
        fs::remove_file(&link).unwrap();
        symlink(target, &link).unwrap();
        let error = tree.hash(&HashRequest::whole(), &()).unwrap_err();
        assert!(
            matches!(&error, SourceError::Changed(p) if *p == link),
            "{error}"
        );
    }
}

#[test]
fn links_to_nothing_to_pipes_and_in_circles_are_refused() {
    for (target, expected) in [
        ("nowhere", "leads nowhere"),
        ("evil", "leads nowhere"),
        ("fifo", "is a named pipe"),
        (".", "leads to a folder that holds it"),
        ("sub", "leads to a folder that holds it"),
    ] {
        let scratch = Scratch::new();
        scratch.write("m/sub/a", "1");
        symlink("..", scratch.join("m/sub/up")).unwrap();
        if target != "sub" {
            fs::remove_file(scratch.join("m/sub/up")).unwrap();
        }
        symlink(target, scratch.join("m/evil")).unwrap();
        if target == "fifo" {
            fs::create_dir(scratch.join("m/z")).unwrap();
            pipe(&scratch.join("m/z/fifo"));
            fs::remove_file(scratch.join("m/evil")).unwrap();
            symlink("z/fifo", scratch.join("m/evil")).unwrap();
        }
        let error = with(scratch.join("m"), Symlinks::Inside).unwrap_err();
        assert!(error.to_string().contains(expected), "{target}: {error}");
    }
}

#[test]
fn folders_that_multiply_through_links_are_bounded() {
    let scratch = Scratch::new();
    for i in 0..1000 {
        scratch.write(format!("m/a/{i}"), "");
    }
    for i in 0..1001 {
        symlink("a", scratch.join(format!("m/l{i}"))).unwrap();
    }
    let error = with(scratch.join("m"), Symlinks::Inside).unwrap_err();
    assert!(matches!(error, SourceError::TooMany(_)), "{error}");
    assert!(error.is_limit());
}

#[test]
fn a_mounted_config_map_is_the_model_it_shows() {
    let scratch = Scratch::new();
    scratch.write("v/..2026_11_21/config.json", "{}");
    scratch.write("v/..2026_11_21/sub/model.bin", "weights");
    symlink("..2026_11_21", scratch.join("v/..data")).unwrap();
    symlink("..data/config.json", scratch.join("v/config.json")).unwrap();
    symlink("..data/sub", scratch.join("v/sub")).unwrap();
    let tree = with(scratch.join("v"), Symlinks::Inside).unwrap();
    assert_eq!(paths(&tree), ["config.json", "sub/model.bin"]);
    scratch.write("plain/config.json", "{}");
    scratch.write("plain/sub/model.bin", "weights");
    assert_eq!(linked_identity(&tree), identity(scratch.join("plain")));
    // What no link shows is there all the same, and listed.
    scratch.write("v/..2026_11_21/evil.py", "x");
    let tree = with(scratch.join("v"), Symlinks::Inside).unwrap();
    assert_eq!(
        paths(&tree),
        ["..2026_11_21/evil.py", "config.json", "sub/model.bin"]
    );
    // So is an older folder that the volume no longer shows.
    scratch.write("v/..2025/config.json", "old");
    let tree = with(scratch.join("v"), Symlinks::Inside).unwrap();
    assert!(paths(&tree).contains(&"..2025/config.json"));
}

#[test]
fn a_linked_file_is_a_model_when_links_are_followed() {
    let scratch = Scratch::new();
    hub(&scratch);
    let link = scratch.join("hub/snapshots/x/model.bin");
    for symlinks in [Symlinks::Inside, Symlinks::Within(scratch.join("hub"))] {
        let tree = with(&link, symlinks).unwrap();
        assert!(tree.is_single_file());
        assert_eq!(tree.name(), "model.bin");
        assert_eq!(linked_identity(&tree), sha256(b"weights").to_string());
    }
}
