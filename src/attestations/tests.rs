//! The contract of [`AttestationStore`], run against every adapter, and what
//! each adapter does beyond it.

use std::fs;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::bundle::{Bundle, Content};
use crate::crypto::sha256;
use crate::digest::Identity;
use crate::dsse::{Envelope, IN_TOTO};
use crate::oci::{Descriptor, fallback_tag, media_type};
use crate::source::layout::Layout;
use crate::source::registry::tests::{between, fake, wait};
use crate::statement::{self, Statement};
use crate::time::Timestamp;

/// Adapters of the disk do not wait for anything, so one look is enough.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an adapter waited"),
    }
}

fn by_key(content: Content) -> Vec<u8> {
    Bundle::by_key("hint".into(), content).to_json()
}

fn signature(bytes: &[u8]) -> Vec<u8> {
    by_key(Content::Message {
        digest: None,
        signature: bytes.to_vec(),
    })
}

fn attestation(predicate_type: &str, signature: u8) -> Vec<u8> {
    let subject = statement::Subject::new("x", &Identity::Content(sha256(b"x")));
    let statement = Statement::new(vec![subject], predicate_type, json!({}));
    by_key(Content::Envelope(Envelope {
        payload_type: IN_TOTO.into(),
        payload: statement.to_json(),
        signature: vec![signature],
        keyid: String::new(),
    }))
}

const EVAL: &str = "https://example.acme/eval/v1";

struct Case {
    store: Box<dyn AttestationStore>,
    one: Subject,
    other: Subject,
    absent: Subject,
    foreign: Subject,
    _root: TempDir,
}

fn sidecar() -> Case {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    fs::write(path("one"), "1").unwrap();
    fs::write(path("other"), "2").unwrap();
    Case {
        store: Box::new(Sidecar),
        one: Subject::Path(path("one")),
        other: Subject::Path(path("other")),
        absent: Subject::Path(path("absent")),
        foreign: manifest(Descriptor::of(media_type::MANIFEST, b"")),
        _root: root,
    }
}

fn directory() -> Case {
    let mut case = sidecar();
    let path = |name: &str| case._root.path().join(name);
    fs::create_dir(path("dir-one")).unwrap();
    fs::create_dir(path("dir-other")).unwrap();
    case.one = Subject::Path(path("dir-one"));
    case.other = Subject::Path(path("dir-other"));
    case
}

fn manifest(descriptor: Descriptor) -> Subject {
    Subject::Manifest(Box::new(descriptor))
}

fn image(layout: &Layout, seed: &str) -> Descriptor {
    let config = layout
        .put_blob(media_type::CONFIG, seed.as_bytes())
        .unwrap();
    let image = json!({
        "schemaVersion": 2, "mediaType": media_type::MANIFEST, "config": config, "layers": [],
    });
    let image = layout
        .put_blob(media_type::MANIFEST, image.to_string().as_bytes())
        .unwrap();
    layout.tag(seed, &image).unwrap();
    image
}

fn in_layout() -> (Case, Layout, [Descriptor; 2]) {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::create(root.path().join("l")).unwrap();
    let images = ["one", "other"].map(|seed| image(&layout, seed));
    let case = Case {
        store: Box::new(Referrers::new(
            layout.clone(),
            Arc::new(Timestamp::from_secs(1)),
        )),
        one: manifest(images[0].clone()),
        other: manifest(images[1].clone()),
        absent: manifest(Descriptor::of(media_type::MANIFEST, b"absent")),
        foreign: Subject::Path("x".into()),
        _root: root,
    };
    (case, layout, images)
}

fn contract(case: &Case) {
    let Case {
        store,
        one,
        other,
        absent,
        foreign,
        ..
    } = case;
    let list = |subject| wait(store.list(subject));
    let put = |subject, bundle: &[u8]| wait(store.put(subject, Deposit::new(bundle)));
    // Absence is no error.
    assert_eq!(list(one).unwrap(), []);
    // What was put is listed, byte for byte, and of its own subject alone.
    let (a, b) = (signature(b"a"), attestation(EVAL, 1));
    let stored = put(one, &a).unwrap();
    assert!(!stored.existed);
    assert!(!put(one, &b).unwrap().existed);
    let found = list(one).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|u| u.format == Format::Bundle));
    assert!(
        found
            .iter()
            .any(|u| u.bytes == a && u.origin == stored.origin)
    );
    assert!(found.iter().any(|u| u.bytes == b));
    assert_eq!(list(other).unwrap(), []);
    // Again is the same as once.
    let again = put(one, &a).unwrap();
    assert!(again.existed);
    assert_eq!(again.origin, stored.origin);
    assert_eq!(list(one).unwrap(), found);
    // Nothing malformed is stored.
    for bad in [&b"not a bundle"[..], b"{}", &a[..a.len() - 1]] {
        assert!(matches!(put(one, bad), Err(StoreError::Bundle(_))));
    }
    assert_eq!(list(one).unwrap(), found);
    // A subject of another kind, and one that is not there.
    assert!(matches!(put(foreign, &a), Err(StoreError::NotHere { .. })));
    assert!(matches!(list(foreign), Err(StoreError::NotHere { .. })));
    assert!(put(absent, &a).is_err());
}

#[test]
fn files_keep_the_contract() {
    contract(&sidecar());
}

#[test]
fn directories_keep_the_contract() {
    contract(&directory());
}

#[test]
fn layouts_keep_the_contract() {
    contract(&in_layout().0);
}

/// In a registry that keeps lists of referrers, and in those that do not.
fn in_registry(referrers: bool, conditions: bool) -> (Case, fake::Fake) {
    use crate::source::registry::{Access, Registries};

    let fake = fake::Fake::new(fake::Kind {
        referrers,
        conditions,
        ..fake::Kind::default()
    });
    let registries = Registries::new(Access::default());
    let repository = registries.repository(fake.host(), "a/b").unwrap();
    let images = ["one", "other"].map(|seed| {
        let image = json!({
            "schemaVersion": 2, "mediaType": media_type::MANIFEST,
            "config": Descriptor::of(media_type::EMPTY, b"{}"), "layers": [],
            "annotations": {"seed": seed},
        });
        let bytes = image.to_string().into_bytes();
        let descriptor = Descriptor::of(media_type::MANIFEST, &bytes);
        wait(repository.put_manifest(Some(seed), &descriptor, &bytes)).unwrap();
        descriptor
    });
    let case = Case {
        store: Box::new(OciReferrers::new(
            repository,
            Arc::new(Timestamp::from_secs(1)),
        )),
        one: manifest(images[0].clone()),
        other: manifest(images[1].clone()),
        absent: manifest(Descriptor::of(media_type::MANIFEST, b"absent")),
        foreign: Subject::Path("x".into()),
        _root: tempfile::tempdir().unwrap(),
    };
    (case, fake)
}

#[test]
fn registries_keep_the_contract() {
    for (referrers, conditions) in [(true, true), (false, true), (false, false)] {
        contract(&in_registry(referrers, conditions).0);
    }
}

#[test]
fn a_registry_that_cannot_be_asked_is_no_absence() {
    use between::Act;

    let (case, fake) = in_registry(false, true);
    let bundle = signature(b"a");
    wait(case.store.put(&case.one, Deposit::new(&bundle))).unwrap();
    let list = || wait(case.store.list(&case.one));
    assert_eq!(list().unwrap().len(), 1);
    for (place, status) in [("/referrers/", 403), ("/manifests/sha256-", 401)] {
        fake.front
            .next(place, Act::Answer(status, "", String::new()));
        assert!(matches!(list(), Err(StoreError::Registry(_))), "{place}");
    }
    // One piece that does not come is told as such, and so is one that came damaged.
    fake.front
        .next("GET /v2/a/b/blobs/", Act::Answer(404, "", String::new()));
    let found = list().unwrap();
    assert!(
        matches!(found[0].format, Format::Unreadable(_)),
        "{found:?}"
    );
    fake.front
        .next("GET /v2/a/b/blobs/", Act::Change(|_| b"{}".to_vec()));
    let found = list().unwrap();
    assert!(
        matches!(found[0].format, Format::Unreadable(_)),
        "{found:?}"
    );
    fake.front.next(
        "GET /v2/a/b/manifests/sha256:",
        Act::Answer(403, "", String::new()),
    );
    let found = list().unwrap();
    assert!(
        matches!(found[0].format, Format::Unreadable(_)),
        "{found:?}"
    );
    // cosign's older tags are looked up by themselves, and each for itself.
    let older = || wait(case.store.older(&case.other));
    assert!(older().is_empty());
    fake.front.next(".sig", Act::Answer(403, "", String::new()));
    let found = older();
    assert!(
        matches!(found[..], [Err(StoreError::Registry(_))]),
        "{found:?}"
    );
}

fn put_beside(path: &Path, bundle: &[u8]) -> Result<Stored, StoreError> {
    now(Sidecar.put(&Subject::Path(path.into()), Deposit::new(bundle)))
}

fn list_beside(path: &Path) -> Result<Vec<Untrusted>, StoreError> {
    now(Sidecar.list(&Subject::Path(path.into())))
}

fn name_of(stored: &Stored) -> String {
    let path = Path::new(&stored.origin);
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn names_beside_a_file_and_a_directory() {
    let root = tempfile::tempdir().unwrap();
    let (file, dir) = (root.path().join("m.bin"), root.path().join("m"));
    fs::write(&file, "").unwrap();
    fs::create_dir(&dir).unwrap();
    let model = attestation(statement::MODEL_SIGNATURE, 1);
    let image = attestation(statement::COSIGN_SIGN, 1);
    let eval = attestation(EVAL, 1);
    let bom = attestation("https://cyclonedx.org/bom/v1.6", 1);
    for (path, bundle, name) in [
        (&file, &signature(b"s"), "m.bin.sigstore.json"),
        (&file, &eval, "m.bin.eval-v1.sigstore.json"),
        (&file, &bom, "m.bin.cyclonedx.sigstore.json"),
        (&dir, &model, "model.sig"),
        (&dir, &eval, "m.eval-v1.sigstore.json"),
        (&dir, &image, "m.sigstore.json"),
    ] {
        assert_eq!(name_of(&put_beside(path, bundle).unwrap()), name);
    }
    assert!(dir.join("model.sig").is_file());
    assert_eq!(list_beside(&dir).unwrap().len(), 3);
    // The directory by another name, and the file's evidence is not its own.
    assert_eq!(list_beside(&dir.join("../m")).unwrap().len(), 3);
    assert_eq!(list_beside(&dir.join(".")).unwrap().len(), 3);
    assert_eq!(list_beside(&file).unwrap().len(), 3);
}

#[test]
fn another_bundle_is_replaced_only_by_force() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("f");
    fs::write(&file, "").unwrap();
    let (a, b) = (signature(b"a"), signature(b"b"));
    put_beside(&file, &a).unwrap();
    assert!(matches!(put_beside(&file, &b), Err(StoreError::Exists(_))));
    assert_eq!(list_beside(&file).unwrap()[0].bytes, a);
    let subject = Subject::Path(file.clone());
    let force = Deposit {
        force: true,
        ..Deposit::new(&b)
    };
    now(Sidecar.put(&subject, force)).unwrap();
    assert_eq!(list_beside(&file).unwrap()[0].bytes, b);
    let labelled = Deposit {
        label: Some("second"),
        ..Deposit::new(&a)
    };
    now(Sidecar.put(&subject, labelled)).unwrap();
    assert_eq!(list_beside(&file).unwrap().len(), 2);
    for bad in ["", "a.b", "../x", "a/b", "é"] {
        let deposit = Deposit {
            label: Some(bad),
            ..Deposit::new(&a)
        };
        assert!(matches!(
            now(Sidecar.put(&subject, deposit)),
            Err(StoreError::Label(_))
        ));
    }
    assert_eq!(
        fs::read_dir(root.path()).unwrap().count(),
        3,
        "nothing else was left"
    );
}

#[test]
fn evidence_of_a_neighbour_is_not_taken() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    fs::write(path("a"), "").unwrap();
    for name in [
        "a.bin.sigstore.json",
        "a.bin.tar.sigstore.json",
        "ab.sigstore.json",
        "a.sig",
    ] {
        fs::write(path(name), "x").unwrap();
    }
    // Nothing is called a.bin: then it is a label.
    assert_eq!(list_beside(&path("a")).unwrap().len(), 1);
    fs::write(path("a.bin"), "").unwrap();
    assert_eq!(list_beside(&path("a")).unwrap(), []);
    // Its own, and what is said about it under the label "tar".
    assert_eq!(list_beside(&path("a.bin")).unwrap().len(), 2);
}

#[test]
fn what_cannot_be_looked_at_is_not_absent() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("f");
    assert!(matches!(list_beside(&file), Err(StoreError::NoSubject(_))));
    fs::write(&file, "").unwrap();
    // A dangling link: something was there for somebody.
    std::os::unix::fs::symlink("nowhere", root.path().join("f.sigstore.json")).unwrap();
    let found = list_beside(&file).unwrap();
    assert!(
        matches!(&found[0].format, Format::Unreadable(_)),
        "{found:?}"
    );
    fs::remove_file(root.path().join("f.sigstore.json")).unwrap();
    fs::create_dir(root.path().join("f.sigstore.json")).unwrap();
    let found = list_beside(&file).unwrap();
    assert!(matches!(&found[0].format, Format::Malformed(why) if why.contains("not a regular")));
    fs::remove_dir(root.path().join("f.sigstore.json")).unwrap();
    let large = fs::File::create(root.path().join("f.sigstore.json")).unwrap();
    large.set_len(crate::limits::BUNDLE + 1).unwrap();
    let found = list_beside(&file).unwrap();
    assert!(matches!(&found[0].format, Format::Malformed(_)));
    assert!(found[0].bytes.is_empty());
}

#[test]
fn too_much_evidence_is_refused_by_number() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("f");
    fs::write(&file, "").unwrap();
    for i in 0..=crate::limits::EVIDENCE {
        fs::write(root.path().join(format!("f.{i}.sigstore.json")), "x").unwrap();
    }
    let err = list_beside(&file).unwrap_err().to_string();
    assert!(err.contains("more than 1000 pieces of evidence"), "{err}");
}

#[test]
fn too_many_bytes_of_evidence_are_refused_by_number() {
    // Four of the largest size are looked at, one more is not.
    let largest = usize::try_from(crate::limits::BUNDLE).unwrap();
    let count = crate::limits::EVIDENCE_BYTES / crate::limits::BUNDLE;
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("f");
    fs::write(&file, "").unwrap();
    let (case, layout, [image, _]) = in_layout();
    let mut bytes = vec![b' '; largest];
    for n in 0..count {
        let path = root.path().join(format!("f.{n}.sigstore.json"));
        let sparse = fs::File::create(path).unwrap();
        sparse.set_len(crate::limits::BUNDLE).unwrap();
        bytes[0] = n as u8;
        attach(&layout, &image, &[&bytes]);
    }
    assert_eq!(list_beside(&file).unwrap().len() as u64, count);
    assert_eq!(now(case.store.list(&case.one)).unwrap().len() as u64, count);
    fs::write(root.path().join("f.more.sigstore.json"), "x").unwrap();
    attach(&layout, &image, &[b"x"]);
    for error in [
        list_beside(&file).unwrap_err(),
        now(case.store.list(&case.one)).unwrap_err(),
    ] {
        assert!(error.is_limit(), "{error}");
        assert!(error.to_string().contains("bytes"), "{error}");
    }
}

#[test]
fn too_many_bundles_in_few_referrers_are_refused_by_number() {
    let (case, layout, [image, _]) = in_layout();
    // Each referrer may hold several, so that few of them make too many.
    let bundles: Vec<Vec<u8>> = (0..4).map(|n| vec![n]).collect();
    let bundles: Vec<&[u8]> = bundles.iter().map(Vec::as_slice).collect();
    let entries: Vec<Descriptor> = (0..=crate::limits::EVIDENCE / 4)
        .map(|n| store_referrer(&layout, &image, &bundles, n))
        .collect();
    let list = |entries: &[Descriptor]| {
        let manifests = json!({
            "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries,
        });
        let index = layout.put_blob(media_type::INDEX, manifests.to_string().as_bytes());
        let tag = fallback_tag(&image.digest);
        layout.tag(&tag, &index.unwrap()).unwrap();
        now(case.store.list(&case.one)).map(|found| found.len())
    };
    assert_eq!(list(&entries[1..]).unwrap(), crate::limits::EVIDENCE);
    let error = list(&entries).unwrap_err();
    assert!(error.is_limit(), "{error}");
}

/// A referrer's manifest with these bundles, stored and not listed.
fn store_referrer(
    layout: &Layout,
    image: &Descriptor,
    bundles: &[&[u8]],
    number: usize,
) -> Descriptor {
    let put = |media_type: &str, bytes: &[u8]| layout.put_blob(media_type, bytes).unwrap();
    let layers: Vec<_> = bundles
        .iter()
        .map(|bytes| put(crate::bundle::MEDIA_TYPE, bytes))
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "artifactType": crate::bundle::MEDIA_TYPE, "config": put(media_type::EMPTY, b"{}"),
        "layers": layers, "subject": image, "annotations": {"n": number.to_string()},
    });
    put(media_type::MANIFEST, manifest.to_string().as_bytes())
}

/// A referrer with these bundles, listed.
fn attach(layout: &Layout, image: &Descriptor, bundles: &[&[u8]]) {
    let entry = store_referrer(layout, image, bundles, 0);
    layout
        .update(|index| {
            index.manifests.push(entry);
            Ok(())
        })
        .unwrap();
}

#[test]
fn referrers_of_other_kinds() {
    let (case, layout, [image, _]) = in_layout();
    let refer = |artifact_type: &str, layer: &str, content: &[u8]| {
        let layer = layout.put_blob(layer, content).unwrap();
        let config = layout.put_blob(media_type::EMPTY, b"{}").unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::MANIFEST, "artifactType": artifact_type,
            "config": config, "layers": [layer], "subject": image,
        });
        let bytes = manifest.to_string();
        let mut entry = layout
            .put_blob(media_type::MANIFEST, bytes.as_bytes())
            .unwrap();
        entry.artifact_type = Some(artifact_type.to_owned());
        layout
            .update(|index| {
                index.manifests.push(entry);
                Ok(())
            })
            .unwrap();
    };
    refer(media_type::CYCLONEDX, media_type::CYCLONEDX, b"{}");
    assert_eq!(now(case.store.list(&case.one)).unwrap(), []);
    refer(media_type::NOTATION, "application/jose+json", b"{}");
    refer(media_type::IN_TOTO, media_type::DSSE, b"{}");
    refer(media_type::IN_TOTO, media_type::IN_TOTO, b"{}");
    refer(
        media_type::COSIGN_SIGNATURE,
        media_type::SIMPLE_SIGNING,
        b"{}",
    );
    refer(crate::bundle::MEDIA_TYPE, "application/x.other", b"{}");
    refer(
        crate::bundle::MEDIA_TYPE,
        crate::bundle::MEDIA_TYPE,
        b"no bundle",
    );
    layout
        .tag(
            &format!("{}.att", fallback_tag(&image.digest)),
            &self::image(&layout, "att"),
        )
        .unwrap();
    let found = now(case.store.list(&case.one)).unwrap();
    let formats: Vec<String> = found.iter().map(|u| format!("{:?}", u.format)).collect();
    let has = |text: &str| formats.iter().any(|f| f.contains(text));
    assert_eq!(formats.len(), 7, "{formats:?}");
    for text in [
        "Notation { cose: false }",
        "Envelope",
        "Statement",
        // Without the signature's annotation, and an image under cosign's tag.
        "no annotation dev.cosignproject.cosign/signature",
        "cosign keeps signatures there",
    ] {
        assert!(has(text), "{text}: {formats:?}");
    }
    assert!(has("no layer is one"), "{formats:?}");
    // Whether the bytes are a bundle is not the store's to say.
    assert!(
        found
            .iter()
            .any(|u| u.format == Format::Bundle && u.bytes == b"no bundle")
    );
}

#[test]
fn a_bundle_that_was_changed_in_the_layout_is_malformed() {
    let (case, layout, _) = in_layout();
    let bundle = signature(b"s");
    now(case.store.put(&case.one, Deposit::new(&bundle))).unwrap();
    fs::write(layout.blob_path(&sha256(&bundle)), signature(b"t")).unwrap();
    let found = now(case.store.list(&case.one)).unwrap();
    assert!(matches!(&found[0].format, Format::Malformed(why) if why.contains("other bytes")));
    assert!(found[0].bytes.is_empty());
}

#[test]
fn labels() {
    for (predicate_type, label) in [
        (EVAL, "eval-v1"),
        ("https://slsa.dev/provenance/v1", "slsaprovenance1"),
        ("https://cyclonedx.org/bom/v1.6", "cyclonedx"),
        ("x", "x"),
        ("///", "attestation"),
        ("https://a.example/../..", "https-a-example"),
    ] {
        assert_eq!(label_of(predicate_type), label);
    }
    assert!(label_of(&"y".repeat(500)).len() <= 64);
}
