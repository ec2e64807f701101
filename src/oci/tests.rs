use serde_json::{Value, json};

use super::*;
use crate::bundle::{Bundle, Content};
use crate::crypto::sha256;
use crate::dsse::{Envelope, IN_TOTO};
use crate::limits;
use crate::time::Timestamp;

fn hash(byte: u8) -> String {
    sha256(&[byte]).to_string()
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "config": {"mediaType": media_type::CONFIG, "digest": hash(1), "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": hash(2), "size": 9}],
    })
}

fn index_of(manifests: Value) -> Value {
    json!({"schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": manifests})
}

fn parse(value: &Value) -> Result<Document, OciError> {
    Document::parse(value.to_string().as_bytes(), None)
}

fn said(value: &Value) -> String {
    parse(value).unwrap_err().to_string()
}

fn with(mut value: Value, pointer: &str, new: Value) -> Value {
    *value.pointer_mut(pointer).unwrap() = new;
    value
}

fn without(mut value: Value, key: &str) -> Value {
    value.as_object_mut().unwrap().remove(key).unwrap();
    value
}

#[test]
fn oci_and_docker_documents_are_read() {
    assert!(matches!(parse(&image()), Ok(Document::Manifest(m)) if m.layers.len() == 1));
    let docker = with(image(), "/mediaType", json!(media_type::DOCKER_MANIFEST));
    assert_eq!(
        parse(&docker).unwrap().media_type(),
        media_type::DOCKER_MANIFEST
    );
    let entry = json!([{"mediaType": media_type::MANIFEST, "digest": hash(3), "size": 5,
        "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}]);
    let Ok(Document::Index(index)) = parse(&index_of(entry.clone())) else {
        panic!("an index");
    };
    let platform = index.manifests[0].platform.clone().unwrap();
    assert_eq!(platform.to_string(), "linux/arm64/v8");
    let list = with(
        index_of(entry),
        "/mediaType",
        json!(media_type::DOCKER_LIST),
    );
    assert!(matches!(parse(&list), Ok(Document::Index(_))));
}

#[test]
fn a_document_without_media_type_is_what_its_fields_say() {
    let bare = without(image(), "mediaType");
    assert!(matches!(parse(&bare), Ok(Document::Manifest(_))));
    let bare = without(index_of(json!([])), "mediaType");
    assert!(matches!(parse(&bare), Ok(Document::Index(_))));
    assert!(said(&json!({"schemaVersion": 2})).contains("neither an OCI"));
}

#[test]
fn two_readings_are_refused() {
    let mut both = image();
    both["manifests"] = json!([]);
    assert_eq!(parse(&both), Err(OciError::TwoReadings));
    let both = without(both, "mediaType");
    assert_eq!(parse(&both), Err(OciError::TwoReadings));
    let bytes = image().to_string();
    let err = Document::parse(bytes.as_bytes(), Some(media_type::INDEX)).unwrap_err();
    assert!(matches!(err, OciError::MediaTypeDiffers { .. }), "{err}");
}

#[test]
fn missing_and_wrong_fields_are_named() {
    assert!(said(&without(image(), "config")).contains("config"));
    assert!(said(&without(image(), "layers")).contains("layers"));
    assert_eq!(
        parse(&with(image(), "/schemaVersion", json!(1))),
        Err(OciError::SchemaVersion(1))
    );
    assert_eq!(
        parse(&with(index_of(json!([])), "/schemaVersion", json!(1))),
        Err(OciError::SchemaVersion(1))
    );
    assert!(said(&with(image(), "/mediaType", json!("text/html"))).contains("text/html"));
    assert!(said(&with(image(), "/mediaType", json!(7))).contains("mediaType"));
    assert!(said(&with(image(), "/layers/0/mediaType", json!("no"))).contains("\"no\""));
    assert!(said(&with(image(), "/layers/0/size", json!(-1))).contains("-1"));
    assert!(said(&with(image(), "/layers/0/size", json!(1.5))).contains("1.5"));
    assert!(said(&with(image(), "/config/size", json!(u64::MAX))).contains("config holds a size"));
    assert!(said(&json!([])).contains("not an object"));
}

#[test]
fn digests_must_be_digests() {
    for (digest, why) in [
        ("sha256:abcd".to_owned(), "32 bytes, found 2"),
        (format!("sha512:{}", "a".repeat(64)), "64 bytes, found 32"),
        (format!("sha256:{}", "A".repeat(64)), "lower-case"),
        (format!("md5:{}", "a".repeat(32)), "md5"),
        ("sha256:../../../../etc/passwd".to_owned(), "lower-case hex"),
    ] {
        let text = said(&with(image(), "/layers/0/digest", json!(digest)));
        assert!(text.contains(why), "{digest}: {text}");
    }
}

#[test]
fn truncated_doubled_deep_and_large_are_refused() {
    let bytes = image().to_string().into_bytes();
    for cut in 0..bytes.len() {
        assert!(Document::parse(&bytes[..cut], None).is_err(), "{cut}");
    }
    let twice = br#"{"schemaVersion":2,"layers":[],"layers":[]}"#;
    let err = Document::parse(twice, None).unwrap_err().to_string();
    assert!(err.contains("\"layers\" stands twice"), "{err}");
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let err = Document::parse(deep.as_bytes(), None)
        .unwrap_err()
        .to_string();
    assert!(err.contains("nested deeper"), "{err}");
    let large = vec![b' '; usize::try_from(limits::MANIFEST).unwrap() + 1];
    let err = Document::parse(&large, None).unwrap_err().to_string();
    assert!(err.contains("the limit is"), "{err}");
}

#[test]
fn too_many_entries_are_refused() {
    let one = json!({"mediaType": media_type::MANIFEST, "digest": hash(1), "size": 1});
    let many = Value::Array(vec![one.clone(); limits::INDEX_ENTRIES + 1]);
    assert_eq!(
        parse(&index_of(many)),
        Err(OciError::TooMany {
            field: "manifests",
            found: limits::INDEX_ENTRIES + 1
        })
    );
    let most = Value::Array(vec![one.clone(); limits::INDEX_ENTRIES]);
    assert!(parse(&index_of(most)).is_ok());
    let many = Value::Array(vec![one; limits::INDEX_ENTRIES + 1]);
    assert_eq!(
        parse(&with(image(), "/layers", many)),
        Err(OciError::TooMany {
            field: "layers",
            found: limits::INDEX_ENTRIES + 1
        })
    );
}

#[test]
fn artifact_type_falls_back_to_the_configuration() {
    assert_eq!(
        parse(&image()).unwrap().artifact_type(),
        Some(media_type::CONFIG)
    );
    let mut artifact = image();
    artifact["artifactType"] = json!("application/x.test");
    assert_eq!(
        parse(&artifact).unwrap().artifact_type(),
        Some("application/x.test")
    );
}

#[test]
fn platform_of_a_configuration() {
    let of = |text: &str| platform(text.as_bytes()).unwrap().map(|p| p.to_string());
    assert_eq!(
        of(r#"{"os":"linux","architecture":"amd64"}"#).unwrap(),
        "linux/amd64"
    );
    assert_eq!(of(r#"{"os":"linux"}"#), None);
    assert!(platform(b"[").is_err());
}

fn bundle() -> (Vec<u8>, Bundle) {
    let bundle = Bundle::by_key(
        "hint".into(),
        Content::Envelope(Envelope {
            payload_type: IN_TOTO.into(),
            payload: b"{}".to_vec(),
            signature: vec![1],
            keyid: String::new(),
        }),
    );
    (bundle.to_json(), bundle)
}

// formats.md D2, read from cosign 3.1's source: field by field.
#[test]
fn a_referrer_has_cosigns_shape() {
    let (json, bundle) = bundle();
    let subject = Descriptor::of(media_type::MANIFEST, b"image");
    let at = "2026-11-21T10:00:00.123Z".parse::<Timestamp>().unwrap();
    let made = referrer(&json, &bundle, &subject, Some("https://x/y"), at);
    let manifest: Value = serde_json::from_slice(&made.manifest).unwrap();
    assert_eq!(
        manifest,
        json!({
            "schemaVersion": 2,
            "mediaType": media_type::MANIFEST,
            "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json",
                "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
                "size": 2,
                "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            },
            "layers": [{
                "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "digest": sha256(&json).to_string(),
                "size": json.len(),
            }],
            "subject": {"mediaType": media_type::MANIFEST, "digest": sha256(b"image").to_string(), "size": 5},
            "annotations": {
                "dev.sigstore.bundle.content": "dsse-envelope",
                "dev.sigstore.bundle.predicateType": "https://x/y",
                "org.opencontainers.image.created": "2026-11-21T10:00:00Z",
            },
        })
    );
    assert_eq!(made.descriptor.digest, sha256(&made.manifest));
    // Oracle: another reader of the same specification.
    let theirs = oci_spec::image::ImageManifest::from_reader(made.manifest.as_slice()).unwrap();
    assert_eq!(
        theirs.subject().as_ref().unwrap().digest().to_string(),
        subject.digest.to_string()
    );
    let made = referrer(&json, &bundle, &subject, None, at);
    let Ok(Document::Manifest(m)) = Document::parse(&made.manifest, None) else {
        panic!("a manifest");
    };
    assert_eq!(
        m.annotations[media_type::BUNDLE_CONTENT],
        "message-signature"
    );
    assert!(!m.annotations.contains_key(media_type::BUNDLE_PREDICATE));
}

#[test]
fn cosigns_statement_names_nothing_but_the_digest() {
    let statement = cosign_sign_statement(sha256(b"image"), Default::default());
    let text = String::from_utf8(statement.to_json()).unwrap();
    assert_eq!(
        text,
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{}"}}}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{{}}}}"#,
            sha256(b"image").hex()
        )
    );
}

#[test]
fn tags_of_a_digest() {
    let digest = sha256(b"");
    let tag = fallback_tag(&digest);
    assert_eq!(tag, format!("sha256-{}", digest.hex()));
    assert_eq!(Legacy::Signature.tag(&digest), format!("{tag}.sig"));
    let long = Digest512::of();
    assert_eq!(fallback_tag(&long).len(), "sha512-".len() + 64);
}

struct Digest512;
impl Digest512 {
    fn of() -> crate::digest::Digest {
        crate::digest::Digest::new(crate::digest::Algorithm::Sha512, &[7; 64]).unwrap()
    }
}

fn file(path: &str, content: &[u8]) -> ArtifactFile {
    ArtifactFile {
        path: path.into(),
        size: content.len() as u64,
        digest: sha256(content),
    }
}

fn manifest_of(artifact: &Artifact) -> Manifest {
    match Document::parse(&artifact.manifest, Some(media_type::MANIFEST)).unwrap() {
        Document::Manifest(manifest) => *manifest,
        Document::Index(_) => panic!("an index"),
    }
}

#[test]
fn a_model_and_its_manifest_prove_each_other() {
    let files = [file("config.json", b"{}"), file("sub/w.safetensors", b"w")];
    let made = model_artifact("m", &files, true).unwrap();
    let manifest = manifest_of(&made);
    assert!(manifest.is_directory());
    assert_eq!(artifact_files(&manifest).unwrap().unwrap(), files);
    assert_eq!(
        made.manifest,
        model_artifact("m", &files, true).unwrap().manifest
    );
    let config: Value = serde_json::from_slice(&made.blobs[0].1).unwrap();
    assert_eq!(
        config["modelfs"]["diffIds"],
        json!([files[0].digest.to_string(), files[1].digest.to_string()])
    );
    assert_eq!(manifest.config.digest, sha256(&made.blobs[0].1));
    assert!(oci_spec::image::ImageManifest::from_reader(made.manifest.as_slice()).is_ok());
    assert!(!manifest_of(&model_artifact("m", &files[..1], false).unwrap()).is_directory());
}

#[test]
fn paths_never_lead_out_of_an_artifact() {
    for bad in [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "",
        "a//b",
        "a/.",
        "a\\b",
        "a\0b",
        "a\nb",
    ] {
        let made = model_artifact("m", &[file(bad, b"x")], true).unwrap();
        assert!(
            matches!(
                artifact_files(&manifest_of(&made)),
                Err(FilesError::Path { .. })
            ),
            "{bad:?}"
        );
    }
    let long = "a/".repeat(limits::MODEL_DEPTH) + "b";
    let made = model_artifact("m", &[file(&long, b"x")], true).unwrap();
    assert!(artifact_files(&manifest_of(&made)).is_err());
}

#[test]
fn a_path_stands_once_and_is_not_file_and_folder() {
    for pair in [["a", "a"], ["a", "a/b"], ["x/a", "x/a/b/c"]] {
        let files = pair.map(|path| file(path, path.as_bytes()));
        let made = model_artifact("m", &files, true).unwrap();
        assert!(
            matches!(
                artifact_files(&manifest_of(&made)),
                Err(FilesError::Twice(_))
            ),
            "{pair:?}"
        );
    }
    let files = ["a", "a-b", "a/b"].map(|path| file(path, path.as_bytes()));
    let made = model_artifact("m", &files, true).unwrap();
    assert!(matches!(
        artifact_files(&manifest_of(&made)),
        Err(FilesError::Twice(_))
    ));
}

#[test]
fn other_artifacts_are_not_taken_for_files() {
    let Ok(Document::Manifest(container)) = parse(&image()) else {
        panic!("a manifest");
    };
    assert_eq!(artifact_files(&container), Ok(None));
    let mut archived = manifest_of(&model_artifact("m", &[file("a", b"x")], true).unwrap());
    archived.layers[0].media_type = "application/vnd.cncf.model.weight.v1.tar".into();
    assert!(matches!(
        artifact_files(&archived),
        Err(FilesError::Archived(_))
    ));
    archived.layers[0].media_type = media_type::MODEL_WEIGHT.into();
    archived.layers[0].annotations.clear();
    assert!(matches!(
        artifact_files(&archived),
        Err(FilesError::NoPath(_))
    ));
    let made = file_artifact(
        media_type::CYCLONEDX,
        media_type::CYCLONEDX,
        &file("b.json", b"{}"),
    );
    let mut sbom = manifest_of(&made.unwrap());
    assert_eq!(artifact_files(&sbom).unwrap().unwrap().len(), 1);
    sbom.layers.clear();
    assert_eq!(artifact_files(&sbom), Err(FilesError::LayerCount(0)));
}

#[test]
fn a_model_of_too_many_files_is_refused_with_the_limit() {
    let files: Vec<_> = (0..limits::INDEX_ENTRIES + 1)
        .map(|i| file(&format!("f{i}"), b""))
        .collect();
    assert!(matches!(
        model_artifact("m", &files, true),
        Err(OciError::TooMany { .. })
    ));
    let files: Vec<_> = (0..9_900)
        .map(|i| file(&format!("{i:0300}"), b""))
        .collect();
    let err = model_artifact("m", &files, true).unwrap_err().to_string();
    assert!(err.contains("registries take 4194304 at most"), "{err}");
}

/// Lists of cosign's older signatures, by the names of their signatures.
fn older(names: &[u8]) -> Document {
    let layers: Vec<_> = names
        .iter()
        .map(|name| {
            let mut layer = Descriptor::of(media_type::SIMPLE_SIGNING, b"payload");
            let noted = (media_type::COSIGN_SIGNED.to_owned(), name.to_string());
            layer.annotations.extend([noted]);
            layer
        })
        .collect();
    let config = Descriptor::of(media_type::CONFIG, b"{}");
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": config, "layers": layers});
    Document::parse(manifest.to_string().as_bytes(), None).unwrap()
}

proptest::proptest! {
    /// Nothing is lost, whatever is in the one and the other; and who holds
    /// everything lacks nothing.
    #[test]
    fn two_lists_of_signatures_become_one(
        there in proptest::collection::vec(0_u8..12, 0..8),
        new in proptest::collection::vec(0_u8..12, 0..8),
    ) {
        let (there_at, new_at) = (older(&there), older(&new));
        let holds = new.iter().all(|one| there.contains(one));
        let less = there.iter().all(|one| new.contains(one));
        match LegacyStanding::of(Legacy::Signature, &there_at, &new_at) {
            LegacyStanding::Holds => assert!(holds),
            LegacyStanding::Less => assert!(less && !holds),
            LegacyStanding::Apart => panic!("both are lists"),
            LegacyStanding::Lacks(lacking) => {
                assert!(!holds && !less);
                let Document::Manifest(manifest) = &there_at else {
                    panic!("it is one");
                };
                let both = append_legacy(Some((manifest, b"{}")), &lacking).unwrap();
                let both = Document::parse(&both.manifest, None).unwrap();
                for one in [&there_at, &new_at] {
                    let standing = LegacyStanding::of(Legacy::Signature, &both, one);
                    assert_eq!(standing, LegacyStanding::Holds);
                }
                let Document::Manifest(both) = both else {
                    panic!("it is one");
                };
                assert_eq!(both.layers[..there.len()], manifest.layers[..]);
            }
        }
        // SBOMs are never put together.
        if !holds && !less {
            let standing = LegacyStanding::of(Legacy::Sbom, &there_at, &new_at);
            assert_eq!(standing, LegacyStanding::Apart);
        }
    }
}
