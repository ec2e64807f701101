use std::num::NonZeroU64;

use serde_json::{Value, json};

use super::*;
use crate::crypto::sha256;
use crate::digest::{Algorithm, DigestError};
use crate::model::files::{self, HashedFile, Shards, Standing};
use crate::model::ignore::IgnoreRules;
use crate::model::manifest::Comparison;
use crate::model::name::NameError;

fn file(path: &str, content: &str) -> HashedFile {
    HashedFile {
        path: path.to_owned(),
        size: content.len() as u64,
        standing: Standing::Content,
        sha256: Some(sha256(content.as_bytes())),
        shards: vec![Shards {
            size: THREE,
            digests: content.as_bytes().chunks(3).map(sha256).collect(),
        }],
    }
}

const THREE: NonZeroU64 = NonZeroU64::new(3).unwrap();

fn manifest(files: &[HashedFile], method: Method) -> ModelManifest {
    ModelManifest::of("m", files, method, &IgnoreRules::defaults(), false).unwrap()
}

fn model() -> Vec<HashedFile> {
    vec![
        file("a-b", "y\n"),
        file("a/b", "z\n"),
        file("sub/a/x", "hello world"),
        file("ünï.txt", "ü\n"),
    ]
}

/// The statement with one change, read back.
fn read_changed(
    method: Method,
    change: impl FnOnce(&mut Statement),
) -> Result<ModelManifest, ManifestError> {
    let mut statement = manifest(&model(), method).to_statement();
    change(&mut statement);
    ModelManifest::from_statement(&statement)
}

/// Makes the subject digest fit whatever the resources have become.
fn reseal(statement: &mut Statement) {
    let mut all = Vec::new();
    for resource in statement.predicate["resources"].as_array().unwrap() {
        all.extend(hex::decode(resource["digest"].as_str().unwrap()).unwrap());
    }
    statement.subject[0] = Subject::new("m", &Identity::Content(sha256(&all)));
}

#[test]
fn both_methods_round_trip() {
    for method in [Method::Files, Method::Shards(THREE)] {
        let ours = manifest(&model(), method);
        let json = ours.to_statement().to_json();
        let read = ModelManifest::from_statement(&Statement::parse(&json).unwrap()).unwrap();
        assert_eq!(read, ours);
        assert_eq!(read.compare(&model()), Comparison::default());
    }
}

// Vector: what model-signing 1.1.1 wrote for these files, ignored paths and all.
#[test]
fn agrees_with_model_signing() {
    let files = [
        file("a-b", "y\n"),
        file("a/b", "z\n"),
        file("empty", ""),
        file("sub/a/x", "hi\n"),
        file("ünï.txt", "ü\n"),
    ];
    let statement = manifest(&files, Method::Files).to_statement();
    assert_eq!(
        statement.subject[0].digest["sha256"],
        "cfc9f2425979d7d1da9da93f9ff7afaa6a8087350dab712368ff7ff15f9c046b"
    );
    let names: Vec<_> = statement.predicate["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a/b", "a-b", "empty", "sub/a/x", "ünï.txt"]);
}

#[test]
fn a_shard_size_that_went_through_a_double_is_read() {
    let read = read_changed(Method::Shards(THREE), |s| {
        s.predicate["serialization"]["shard_size"] = json!(3.0);
    });
    assert_eq!(read.unwrap().method(), Method::Shards(THREE));
}

#[test]
fn names_are_no_part_of_the_root_digest_but_of_the_identity() {
    let one = [file("a", "1"), file("b", "2")];
    let other = [file("c", "1"), file("d", "2")];
    assert_eq!(
        manifest(&one, Method::Files).root_digest(),
        manifest(&other, Method::Files).root_digest()
    );
    assert_ne!(files::identity(&one), files::identity(&other));
    let compared = manifest(&one, Method::Files).compare(&other);
    assert_eq!(compared.missing, ["a", "b"]);
    assert_eq!(compared.uncovered, ["c", "d"]);
    assert!(!compared.covered_files_agree());
}

#[test]
fn each_difference_is_told_apart() {
    for method in [Method::Files, Method::Shards(THREE)] {
        let signed = manifest(&model(), method);
        let compare = |change: &dyn Fn(&mut Vec<HashedFile>)| {
            let mut files = model();
            change(&mut files);
            signed.compare(&files)
        };
        let added = compare(&|f| f.push(file("zz", "new")));
        assert_eq!(added.uncovered, ["zz"]);
        assert!(added.covered_files_agree());
        let missing = compare(&|f| drop(f.remove(0)));
        assert_eq!(
            (missing.missing.as_slice(), missing.renamed.len()),
            (&["a-b".to_owned()][..], 0)
        );
        let changed = compare(&|f| f[2] = file("sub/a/x", "hello wOrld"));
        assert_eq!(changed.changed, ["sub/a/x"]);
        let longer = compare(&|f| f[2] = file("sub/a/x", "hello world!"));
        assert_eq!(longer.changed, ["sub/a/x"]);
        let shorter = compare(&|f| f[2] = file("sub/a/x", "hello wor"));
        assert_eq!(shorter.changed, ["sub/a/x"]);
        let renamed = compare(&|f| f[2].path = "sub/x".into());
        assert_eq!(renamed.missing, ["sub/a/x"]);
        assert_eq!(renamed.renamed, [("sub/a/x".into(), "sub/x".into())]);
        assert_eq!(renamed.uncovered, ["sub/x"]);
        let case = compare(&|f| f[2].path = "sub/A/x".into());
        assert_eq!(case.missing, ["sub/a/x"]);
        assert_eq!(case.case_changed, [("sub/a/x".into(), "sub/A/x".into())]);
        assert_eq!(case.uncovered, ["sub/A/x"]);
        let unread = compare(&|f| (f[0].sha256, f[0].shards) = (None, Vec::new()));
        assert_eq!(unread.not_hashed, ["a-b"]);
        assert!(!unread.covered_files_agree());
    }
}

#[test]
fn what_the_signer_ignored_is_uncovered_and_evidence_is_not() {
    let mut files = model();
    let mut git = file(".git/hooks/post-checkout", "rm -rf /");
    git.standing = Standing::Ignored;
    let mut signature = file("model.sig", "{}");
    signature.standing = Standing::Evidence;
    files.extend([git, signature, file("cache/x", "1")]);
    let ignore = IgnoreRules::defaults().and("cache").unwrap();
    let signed = ModelManifest::of("m", &files, Method::Files, &ignore, false).unwrap();
    assert_eq!(
        signed.ignore_paths(),
        [
            ".git",
            ".gitattributes",
            ".github",
            ".gitignore",
            "cache",
            "model.sig"
        ]
    );
    assert_eq!(
        signed.compare(&files).uncovered,
        [".git/hooks/post-checkout", "cache/x"]
    );
}

#[test]
fn a_single_file_is_a_model_without_a_name() {
    let signed = manifest(&[file(".", "weights")], Method::Files);
    let read = ModelManifest::from_statement(&signed.to_statement()).unwrap();
    assert_eq!(read.compare(&[file(".", "weights")]), Comparison::default());
    assert_eq!(read.compare(&[file(".", "Weights")]).changed, ["."]);
    assert_eq!(
        files::identity(&[file(".", "weights")]),
        Ok(Identity::Content(sha256(b"weights")))
    );
}

#[test]
fn names_that_lead_out_or_have_two_readings_are_refused() {
    for (name, error) in [
        ("../x", NameError::Parent),
        ("a/../../x", NameError::Parent),
        ("/etc/passwd", NameError::Absolute),
        ("a\0b", NameError::Control),
        ("a\nb", NameError::Control),
        ("a\\b", NameError::Backslash),
        ("a//b", NameError::EmptyPart),
        ("./a", NameError::Dot),
        (".", NameError::Dot),
        ("", NameError::EmptyPart),
    ] {
        let read = read_changed(Method::Files, |s| {
            s.predicate["resources"][1]["name"] = json!(name);
        });
        let name = name.to_owned();
        assert_eq!(read, Err(ManifestError::Name { name, error }));
    }
}

#[test]
fn duplicates_are_refused() {
    let read = read_changed(Method::Files, |s| {
        s.predicate["resources"][1]["name"] = json!("a/b");
    });
    assert_eq!(read, Err(ManifestError::Duplicate("a/b".into())));
}

#[test]
fn the_subject_digest_must_be_the_one_over_the_resources() {
    let read = read_changed(Method::Files, |s| {
        s.predicate["resources"][1]["digest"] = json!("00".repeat(32));
    });
    assert!(
        matches!(read, Err(ManifestError::SubjectDigest { .. })),
        "{read:?}"
    );
    let read = read_changed(Method::Files, |s| {
        s.subject[0].digest = std::iter::once(("sha512".into(), "00".repeat(64))).collect();
    });
    assert!(
        matches!(read, Err(ManifestError::SubjectDigest { .. })),
        "{read:?}"
    );
    // Reordering is another list, hence another digest.
    let read = read_changed(Method::Files, |s| {
        s.predicate["resources"].as_array_mut().unwrap().reverse();
    });
    assert!(
        matches!(read, Err(ManifestError::SubjectDigest { .. })),
        "{read:?}"
    );
}

#[test]
fn digests_of_the_wrong_length_or_algorithm_are_refused() {
    let with = |field: &str, value: Value| {
        read_changed(Method::Files, |s| {
            s.predicate["resources"][0][field] = value
        })
    };
    assert_eq!(
        with("digest", json!("00".repeat(31))),
        Err(ManifestError::Digest {
            name: "a/b".into(),
            error: DigestError::Length {
                algorithm: Algorithm::Sha256,
                found: 31
            }
        })
    );
    assert!(matches!(
        with("digest", json!("AB".repeat(32))),
        Err(ManifestError::Digest { .. })
    ));
    for algorithm in ["sha512", "blake2b", "md5", "sha256-sharded-3"] {
        let read = with("algorithm", json!(algorithm));
        assert!(
            matches!(read, Err(ManifestError::Algorithm { .. })),
            "{read:?}"
        );
    }
    assert!(matches!(
        with("digest", json!(7)),
        Err(ManifestError::Shape(_))
    ));
}

#[test]
fn unknown_serialisations_are_refused_by_name() {
    let with = |field: &str, value: Value| {
        read_changed(Method::Files, |s| {
            s.predicate["serialization"][field] = value
        })
    };
    assert_eq!(
        with("method", json!("tensors")),
        Err(ManifestError::Method("tensors".into()))
    );
    assert_eq!(
        with("hash_type", json!("blake3")),
        Err(ManifestError::HashType("blake3".into()))
    );
    assert_eq!(
        with("method", json!("shards")),
        Err(ManifestError::ShardSize)
    );
    assert!(matches!(
        with("allow_symlinks", json!("no")),
        Err(ManifestError::Shape(_))
    ));
    for size in [json!(0), json!(-3), json!(2.5), json!(1e300)] {
        let read = read_changed(Method::Shards(THREE), |s| {
            s.predicate["serialization"]["shard_size"] = size;
        });
        assert_eq!(read, Err(ManifestError::ShardSize));
    }
    let read = read_changed(Method::Files, |s| {
        s.predicate_type = "https://slsa.dev/provenance/v1".into()
    });
    assert_eq!(
        read,
        Err(ManifestError::PredicateType(
            "https://slsa.dev/provenance/v1".into()
        ))
    );
    let read = read_changed(Method::Files, |s| s.subject.push(s.subject[0].clone()));
    assert_eq!(read, Err(ManifestError::Subjects(2)));
    let read = read_changed(Method::Files, |s| {
        s.predicate["resources"] = json!([]);
        reseal(s);
    });
    assert_eq!(read, Err(ManifestError::NoResources));
}

#[test]
fn pieces_must_lie_end_to_end() {
    // sub/a/x has 11 bytes: 0:3 3:6 6:9 9:11, at indexes 2 to 5.
    for (index, name, what) in [
        (2, "sub/a/x:1:3", "a gap at the start"),
        (3, "sub/a/x:4:6", "a gap"),
        (3, "sub/a/x:2:5", "an overlap"),
        (4, "sub/a/x:6:8", "a short piece that is not the last"),
        (5, "sub/a/x:9:13", "a long piece"),
        (5, "sub/a/x:9:9", "an empty piece"),
        (5, "sub/a/x:9:8", "a negative piece"),
        (3, "sub/a/x:0:3", "a piece twice"),
    ] {
        let read = read_changed(Method::Shards(THREE), |s| {
            s.predicate["resources"][index]["name"] = json!(name);
        });
        assert_eq!(read, Err(ManifestError::Shards("sub/a/x".into())), "{what}");
    }
    for name in [
        "sub/a/x",
        "sub/a/x:0",
        "x:0:3:4",
        "x:+0:3",
        "x:0: 3",
        "x:0:99999999999999999999",
    ] {
        let read = read_changed(Method::Shards(THREE), |s| {
            s.predicate["resources"][2]["name"] = json!(name);
        });
        assert_eq!(read, Err(ManifestError::ShardName(name.into())));
    }
}

// What model-signing does too: it reads each resource's own algorithm, and then
// hashes the model with the one shard_size that is stated.
#[test]
fn a_model_cut_into_shards_of_several_sizes_is_refused() {
    // sub/a/x has 11 bytes, at indexes 2 to 5.
    let read = read_changed(Method::Shards(THREE), |s| {
        s.predicate["resources"][5]["algorithm"] = json!("sha256-sharded-2");
    });
    let of_two_sizes = ManifestError::Algorithm {
        name: "sub/a/x:9:11".into(),
        algorithm: "sha256-sharded-2".into(),
        expected: "sha256-sharded-3".into(),
    };
    assert_eq!(read, Err(of_two_sizes));
    // Nor may a file be cut into other pieces than the size that is stated.
    let read = read_changed(Method::Shards(THREE), |s| {
        let resources = s.predicate["resources"].as_array_mut().unwrap();
        resources[3]["name"] = json!("sub/a/x:3:9");
        resources.remove(4);
        reseal(s);
    });
    assert_eq!(read, Err(ManifestError::Shards("sub/a/x".into())));
    for stated in [json!([3, 2]), json!("3")] {
        let read = read_changed(Method::Shards(THREE), |s| {
            s.predicate["serialization"]["shard_size"] = stated;
        });
        assert!(matches!(read, Err(ManifestError::Shape(_))), "{read:?}");
    }
}

#[test]
fn two_signatures_that_cut_differently_are_both_asked_for() {
    let two = NonZeroU64::new(2).unwrap();
    let mut request = manifest(&model(), Method::Shards(THREE)).request();
    for n in 1..=9 {
        let size = NonZeroU64::new(n).unwrap();
        request = request.and(files::HashRequest {
            shard_sizes: [size].into(),
            ..files::HashRequest::whole()
        });
    }
    // Bounded: each is a hash of everything more. The first ones stay.
    assert_eq!(request.shard_sizes.len(), crate::limits::SHARD_SIZES);
    assert!(request.shard_sizes.contains(&THREE) && request.shard_sizes.contains(&two));
}

#[test]
fn what_the_shards_method_cannot_cover_is_refused_when_signing() {
    let of = |f: HashedFile| {
        ModelManifest::of(
            "m",
            &[f],
            Method::Shards(THREE),
            &IgnoreRules::none(),
            false,
        )
    };
    assert_eq!(of(file("e", "")), Err(ManifestError::EmptyFile("e".into())));
    assert_eq!(
        of(file("a:b", "1")),
        Err(ManifestError::Colon("a:b".into()))
    );
    let mut bare = file("x", "1");
    bare.shards.clear();
    assert_eq!(of(bare), Err(ManifestError::NotHashed("x".into())));
    assert_eq!(
        ModelManifest::of("m", &[], Method::Files, &IgnoreRules::none(), false),
        Err(ManifestError::NoResources)
    );
}

#[test]
fn an_empty_file_beside_a_sharded_model_is_uncovered() {
    let signed = manifest(&model(), Method::Shards(THREE));
    let mut files = model();
    files.push(file("__init__.py", ""));
    assert_eq!(signed.compare(&files).uncovered, ["__init__.py"]);
}

#[test]
fn statements_from_before_1_0_are_read() {
    let subject = |name: &str, content: &str| {
        Subject::new(name, &Identity::Content(sha256(content.as_bytes())))
    };
    let old = Statement::new(
        vec![subject("a", "1"), subject("b", "2")],
        DIGESTS_V01,
        Value::Null,
    );
    let read = ModelManifest::from_statement(&old).unwrap();
    assert_eq!(
        read.compare(&[file("a", "1"), file("b", "x")]).changed,
        ["b"]
    );
    let mut twice = old.clone();
    twice.subject[1].name = "a".into();
    assert_eq!(
        ModelManifest::from_statement(&twice),
        Err(ManifestError::Duplicate("a".into()))
    );
    let mut out = old;
    out.subject[1].name = "../b".into();
    assert!(matches!(
        ModelManifest::from_statement(&out),
        Err(ManifestError::Name { .. })
    ));
}
