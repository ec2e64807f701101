//! Models without symlinks.

use std::ffi::OsStr;
use std::fs;
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use obreia::crypto::sha256;
use obreia::model::files::{self, HashRequest, Standing};
use obreia::model::name::NameError;
use obreia::source::SourceError;
use obreia::source::stage::copy_into;
use obreia::source::tree::{Tree, TreeOptions, place_inside};

use super::file::{Meddler, overwrite};
use super::{hashed, identity, open, paths, pipe};
use crate::harness::{Scratch, peer, testdata};

#[test]
fn every_file_is_listed_and_told_apart() {
    let scratch = Scratch::new();
    for path in [
        "m/.git/hooks/pre-commit",
        "m/.gitattributes",
        "m/a-b",
        "m/a/b",
        "m/model.sig",
        "m/sub/.git/config",
        "m/ünï.bin",
    ] {
        scratch.write(path, path);
    }
    let tree = open(scratch.join("m")).unwrap();
    let standing: Vec<_> = tree
        .entries()
        .iter()
        .map(|e| (e.path.as_str(), e.standing))
        .collect();
    use Standing::{Content, Evidence, Ignored};
    assert_eq!(
        standing,
        [
            (".git/hooks/pre-commit", Ignored),
            (".gitattributes", Ignored),
            ("a-b", Content),
            ("a/b", Content),
            ("model.sig", Evidence),
            ("sub/.git/config", Content),
            ("ünï.bin", Content),
        ]
    );
    assert_eq!(tree.name(), "m");
    assert!(!tree.is_single_file());
}

#[test]
fn identity_is_the_dir_hash_that_coreutils_make() {
    let Some(openssl) = peer("openssl") else {
        return;
    };
    let model = testdata("model");
    let script = r#"find . -type f | cut -c3- | LC_ALL=C sort | while read -r f; do
        printf '%s  %s\n' "$("$0" dgst -sha256 -r "$f" | cut -d' ' -f1)" "$f"
    done | "$0" dgst -sha256 -r | cut -d' ' -f1"#;
    let out = Command::new("sh")
        .args(["-c", script])
        .arg(openssl)
        .current_dir(&model)
        .output()
        .unwrap();
    let expected = String::from_utf8(out.stdout).unwrap();
    assert_eq!(identity(&model), format!("dirHash:{}", expected.trim()));
}

#[test]
fn signing_does_not_change_the_identity_and_renaming_does() {
    let scratch = Scratch::new();
    scratch.write("m/a", "1");
    scratch.write("m/b", "2");
    let before = identity(scratch.join("m"));
    scratch.write("m/model.sig", "{}");
    assert_eq!(identity(scratch.join("m")), before);
    fs::rename(scratch.join("m/b"), scratch.join("m/c")).unwrap();
    assert_ne!(identity(scratch.join("m")), before);
}

#[test]
fn a_single_file_is_a_model() {
    let scratch = Scratch::new();
    let path = scratch.write("weights.bin", "w");
    let tree = open(&path).unwrap();
    assert!(tree.is_single_file());
    assert_eq!(
        (tree.name().as_str(), paths(&tree)),
        ("weights.bin", vec!["."])
    );
    assert_eq!(identity(&path), sha256(b"w").to_string());
}

#[test]
fn digests_are_those_of_the_bytes_whatever_the_form() {
    let scratch = Scratch::new();
    let big: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    scratch.write("m/big", &big);
    scratch.write("m/empty", "");
    for i in 0..20 {
        scratch.write(format!("m/small/{i}"), vec![i; usize::from(i)]);
    }
    let tree = open(scratch.join("m")).unwrap();
    for size in [1000, 131_072, 100_000_000] {
        let size = NonZeroU64::new(size).unwrap();
        let request = |whole| HashRequest {
            whole,
            shard_sizes: [size].into(),
            also: Default::default(),
        };
        let both = tree.hash(&request(true), &()).unwrap();
        let only = tree.hash(&request(false), &()).unwrap();
        assert_eq!(both[0].sha256, Some(sha256(&big)));
        let step = usize::try_from(size.get()).unwrap();
        let shards: Vec<_> = big.chunks(step).map(sha256).collect();
        for found in [&both, &only] {
            assert_eq!(found[0].shards_of(size).unwrap().digests, shards);
            assert!(found[1].shards_of(size).unwrap().digests.is_empty());
        }
        let nineteen = both.iter().find(|f| f.path == "small/19").unwrap();
        assert_eq!(nineteen.sha256, Some(sha256(&[19; 19])));
        assert_eq!(only[0].sha256, None);
    }
}

#[test]
fn shards_of_several_sizes_are_cut_in_one_pass() {
    let scratch = Scratch::new();
    let big: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    scratch.write("m/big", &big);
    scratch.write("m/small", "12345");
    let sizes = [3, 1000, 131_072].map(|n| NonZeroU64::new(n).unwrap());
    for whole in [true, false] {
        let request = HashRequest {
            whole,
            shard_sizes: sizes.into(),
            also: Default::default(),
        };
        let found = open(scratch.join("m"))
            .unwrap()
            .hash(&request, &())
            .unwrap();
        assert_eq!(found[0].sha256.is_some(), whole);
        for size in sizes {
            let step = usize::try_from(size.get()).unwrap();
            for (file, bytes) in [(&found[0], &big[..]), (&found[1], b"12345")] {
                let shards: Vec<_> = bytes.chunks(step).map(sha256).collect();
                assert_eq!(file.shards_of(size).unwrap().digests, shards);
            }
        }
    }
}

#[test]
fn only_what_was_asked_for_is_read() {
    let scratch = Scratch::new();
    scratch.write("m/.git/HEAD", "ref");
    scratch.write("m/.gitignore", "x");
    scratch.write("m/a", "1");
    let files = hashed(scratch.join("m"));
    assert_eq!(files[0].sha256, None);
    assert_eq!(files[2].sha256, Some(sha256(b"1")));
    let mut request = HashRequest::whole();
    request.also.insert(".gitignore".into());
    let files = open(scratch.join("m"))
        .unwrap()
        .hash(&request, &())
        .unwrap();
    assert_eq!(files[0].sha256, None);
    assert_eq!(files[1].sha256, Some(sha256(b"x")));
    // What the identity is made of does not depend on it.
    assert_eq!(
        files::identity(&files).unwrap().to_string(),
        identity(scratch.join("m"))
    );
}

#[test]
fn a_shard_size_that_makes_too_many_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.write("m/a", vec![0; 1_000_001]);
    let request = HashRequest {
        whole: false,
        shard_sizes: NonZeroU64::new(1).into_iter().collect(),
        also: Default::default(),
    };
    let error = open(path.parent().unwrap())
        .unwrap()
        .hash(&request, &())
        .unwrap_err();
    assert!(matches!(error, SourceError::TooManyShards(_)), "{error}");
    assert!(error.is_limit());
}

#[test]
fn pipes_sockets_and_devices_are_refused_unopened() {
    let scratch = Scratch::new();
    scratch.write("m/a", "1");
    pipe(&scratch.join("m/z-pipe"));
    let error = open(scratch.join("m")).unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::NotRegular {
                kind: "named pipe",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("m/z-pipe"), "{error}");
    fs::remove_file(scratch.join("m/z-pipe")).unwrap();
    let _socket = UnixListener::bind(scratch.join("m/s")).unwrap();
    let error = open(scratch.join("m")).unwrap_err();
    assert!(
        matches!(error, SourceError::NotRegular { kind: "socket", .. }),
        "{error}"
    );
    for (path, what) in [("/dev/null", "character device"), ("m/s", "socket")] {
        let error = open(scratch.join(path)).unwrap_err();
        assert!(
            matches!(error, SourceError::NotRegular { kind, .. } if kind == what),
            "{error}"
        );
    }
}

#[test]
fn a_pipe_that_takes_a_files_place_does_not_hang() {
    let scratch = Scratch::new();
    let path = scratch.write("m/a", "1");
    let tree = open(scratch.join("m")).unwrap();
    fs::remove_file(&path).unwrap();
    pipe(&path);
    let error = tree.hash(&HashRequest::whole(), &()).unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::NotRegular {
                kind: "named pipe",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn what_lies_under_an_ignored_path_is_listed_and_never_opened() {
    let scratch = Scratch::new();
    scratch.write("m/a", "1");
    scratch.write("m/.git/config", "x");
    pipe(&scratch.join("m/.git/pipe"));
    symlink("/etc", scratch.join("m/.git/link")).unwrap();
    let tree = open(scratch.join("m")).unwrap();
    assert_eq!(paths(&tree), [".git/config", ".git/link", ".git/pipe", "a"]);
    assert!(tree.hash(&HashRequest::whole(), &()).is_ok());
    let mut request = HashRequest::whole();
    request.also.insert(".git/pipe".into());
    // Asked for, it stays without a digest: whoever compares is told that it was not hashed.
    assert_eq!(tree.hash(&request, &()).unwrap()[2].sha256, None);
    let (staged, _) = copy_into(&tree, &scratch.join("copy"), &request, &()).unwrap();
    staged.commit().unwrap();
    assert_eq!(
        paths(&open(scratch.join("copy")).unwrap()),
        [".git/config", "a"]
    );
}

#[test]
fn a_file_that_changes_after_it_was_listed_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.write("m/a", vec![7; 1 << 20]);
    scratch.write("m/b", "2");
    let tree = open(scratch.join("m")).unwrap();
    let error = tree
        .hash(&HashRequest::whole(), &Meddler::new(&path, overwrite))
        .unwrap_err();
    assert!(
        matches!(&error, SourceError::Changed(p) if *p == path),
        "{error}"
    );
    // Swapped for another file with the same bytes, for a link, and for nothing.
    for swap in [
        (|p| fs::write(p, "2").unwrap()) as fn(&std::path::Path),
        |p| symlink("a", p).unwrap(),
        |_| (),
    ] {
        let path = scratch.join("m/b");
        fs::write(&path, "2").unwrap();
        let tree = open(scratch.join("m")).unwrap();
        fs::rename(&path, scratch.join("old")).unwrap();
        swap(&path);
        let error = tree.hash(&HashRequest::whole(), &()).unwrap_err();
        assert!(
            matches!(&error, SourceError::Changed(p) if *p == path),
            "{error}"
        );
        let _gone = fs::remove_file(&path);
    }
}

#[test]
fn names_with_two_readings_are_refused() {
    for (name, error) in [
        (&b"a\nb"[..], NameError::Control),
        (b"a\\b", NameError::Backslash),
        (b"\xff", NameError::NotUtf8),
    ] {
        let scratch = Scratch::new();
        scratch.write("m/sub/a", "1");
        fs::write(scratch.join("m/sub").join(OsStr::from_bytes(name)), "x").unwrap();
        let found = open(scratch.join("m")).unwrap_err();
        assert!(
            matches!(&found, SourceError::Name { error: e, .. } if *e == error),
            "{found}"
        );
        assert!(!found.to_string().contains('\n'));
    }
}

#[test]
fn depth_is_bounded() {
    let scratch = Scratch::new();
    scratch.write(format!("m/{}/x", vec!["d"; 63].join("/")), "1");
    assert!(open(scratch.join("m")).is_ok());
    scratch.write(format!("m/{}/x", vec!["d"; 64].join("/")), "1");
    let error = open(scratch.join("m")).unwrap_err();
    assert!(error.is_limit(), "{error}");
}

#[test]
fn an_empty_folder_is_no_model() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.join("m/sub")).unwrap();
    assert!(matches!(
        open(scratch.join("m")),
        Err(SourceError::Empty(_))
    ));
    assert!(open(scratch.join("absent")).unwrap_err().is_not_found());
}

#[test]
fn evidence_under_another_name_is_named_by_its_place() {
    let scratch = Scratch::new();
    scratch.write("m/a", "1");
    let signature = scratch.write("m/sig/my.sig", "{}");
    let outside = scratch.write("other.sig", "{}");
    let model = scratch.join("m");
    assert_eq!(
        place_inside(&model, &signature).as_deref(),
        Some("sig/my.sig")
    );
    assert_eq!(place_inside(&model, &outside), None);
    assert_eq!(
        place_inside(&model, &scratch.join("m/absent.sig")).as_deref(),
        Some("absent.sig")
    );
    let options = TreeOptions {
        evidence: vec!["sig/my.sig".into()],
        ..TreeOptions::default()
    };
    let tree = Tree::open(&model, &options).unwrap();
    assert_eq!(tree.entries()[1].standing, Standing::Evidence);
}
