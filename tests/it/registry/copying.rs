//! What `obreia copy` moves at once, and what it leaves where it lies.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use obreia::oci::{Descriptor, media_type};
use obreia::source::registry::Source;
use serde_json::{Value, json};

use super::between::{Act, Said};
use super::fake::{Fake, Kind};
use super::{ours, repository, sign, verify, wait};
use crate::harness::Scratch;

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Puts an image of those layers, which are there unless they lie elsewhere.
fn put(fake: &Fake, tag: &str, layers: &[(&str, Vec<u8>)]) -> Vec<Descriptor> {
    let at = repository(fake.host(), "test/app");
    let config = br#"{"os": "linux", "architecture": "amd64"}"#;
    let config_at = Descriptor::of(media_type::CONFIG, config);
    let mut entries = Vec::new();
    wait(async {
        let source = Source::Bytes(config);
        at.put_blob(&config_at, source, None).await.unwrap();
        for (kind, bytes) in layers {
            let mut entry = Descriptor::of(*kind, bytes);
            if *kind == FOREIGN {
                let urls = json!(["https://maker.example/layer"]);
                entry.other.insert("urls".to_owned(), urls);
            } else {
                at.put_blob(&entry, Source::Bytes(bytes), None)
                    .await
                    .unwrap();
            }
            entries.push(entry);
        }
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
            "config": config_at, "layers": entries})
        .to_string();
        let of = Descriptor::of(media_type::MANIFEST, manifest.as_bytes());
        let bytes = manifest.as_bytes();
        at.put_manifest(Some(tag), &of, bytes).await.unwrap();
    });
    entries
}

fn named(fake: &Fake) -> String {
    format!("{}/test/app:v1", fake.host())
}

/// How many wait for each other, and how many did at most.
#[derive(Default)]
struct Meeting {
    here: Mutex<(usize, usize)>,
    came: Condvar,
}

impl Meeting {
    /// Waits until as many as `wanted` came; a long time at most.
    fn wait_for(&self, wanted: usize) {
        let mut here = self.here.lock().unwrap();
        here.0 += 1;
        here.1 = here.1.max(here.0);
        self.came.notify_all();
        let late = Duration::from_secs(60);
        let met = |here: &mut (usize, usize)| here.1 < wanted;
        let (mut here, _) = self.came.wait_timeout_while(here, late, met).unwrap();
        here.0 -= 1;
    }
}

#[test]
fn four_blobs_are_on_their_way_at_once_and_no_more() {
    let (from, to) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
    let layers: Vec<_> = (0..8_u8).map(|n| (TAR, vec![n; 1000])).collect();
    let entries = put(&from, "v1", &layers);
    let meeting = Arc::new(Meeting::default());
    for (entry, (_, bytes)) in entries.iter().zip(&layers) {
        let (meeting, bytes) = (Arc::clone(&meeting), bytes.clone());
        let judge = move |_: &super::between::Call| {
            meeting.wait_for(4);
            Said::new(200, bytes.clone())
        };
        let line = format!("GET /v2/test/app/blobs/{}", entry.digest);
        from.front.next(line, Act::Judged(Arc::new(judge)));
    }
    let scratch = Scratch::new();
    ours(&scratch, &["copy", &named(&from), &named(&to)]).ok();
    assert_eq!(meeting.here.lock().unwrap().1, 4);
    assert!(from.front.done());
    for entry in &entries {
        assert!(to.has_blob(&entry.digest.to_string()));
    }
}

#[test]
fn of_several_blobs_one_that_is_wrong_ends_it_before_the_tag() {
    let scratch = Scratch::new();
    let large = |n: u8| (TAR, vec![n; 5 << 20]);
    let layers = [
        large(0),
        (TAR, vec![1; 10]),
        large(2),
        (TAR, vec![3; 10]),
        large(4),
    ];
    for wrong in [0, 1, 4] {
        let (from, to) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
        let entries = put(&from, "v1", &layers);
        let at = named(&from);
        let line = format!("GET /v2/test/app/blobs/{}", entries[wrong].digest);
        let spoil = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes[7] ^= 1;
            bytes
        };
        from.front.next(line.clone(), Act::Change(spoil));
        let out = ours(&scratch, &["copy", &at, &named(&to)]);
        out.expect_code(4);
        assert!(from.front.done(), "{wrong}");
        assert!(!to.has_blob(&entries[wrong].digest.to_string()), "{wrong}");
        assert_eq!(to.tag("test/app", "v1"), None, "{wrong}");
        // What arrived stays, and the rest comes with the next run.
        ours(&scratch, &["copy", &at, &named(&to)]).ok();
        assert!(to.tag("test/app", "v1").is_some());
    }
}

#[test]
fn a_layer_that_only_its_maker_gives_out_stays_a_name() {
    let scratch = Scratch::new();
    let [from, to, again] = [(); 3].map(|()| Fake::new(Kind::default()));
    let layers = [(FOREIGN, b"windows".to_vec()), (TAR, b"ours".to_vec())];
    let entries = put(&from, "v1", &layers);
    let at = named(&from);
    sign(&scratch, &at);
    from.front.seen();
    let foreign = entries[0].digest.to_string();
    for (source, destination) in [
        (at.clone(), named(&to)),
        (at.clone(), "oci-layout:l:v1".to_owned()),
        ("oci-layout:l:v1".to_owned(), "oci-layout:m:v1".to_owned()),
        ("oci-layout:m:v1".to_owned(), named(&again)),
    ] {
        let out = ours(&scratch, &["copy", &source, &destination, "-o", "json"]);
        out.ok().stderr_has(&format!("not copied: {foreign}"));
        out.stderr_has("https://maker.example/layer");
        let told = out.json();
        assert_eq!(told["skipped"][0]["digest"], foreign.as_str());
        assert_eq!(told["skipped"].as_array().unwrap().len(), 1);
        verify(&scratch, &destination).ok();
    }
    assert_eq!(from.tag("test/app", "v1"), to.tag("test/app", "v1"));
    let asked = from.front.seen();
    assert!(
        asked
            .iter()
            .all(|line| line.starts_with("HEAD ") || !line.contains(&foreign)),
        "{asked:#?}"
    );
}

/// Whoever pushed it chose its media type.
#[test]
fn a_layer_that_is_there_is_copied_whatever_it_is_called() {
    const OCI: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let scratch = Scratch::new();
    let [from, to] = [(); 2].map(|()| Fake::new(Kind::default()));
    let layers = [(OCI, b"no urls".to_vec()), (FOREIGN, b"windows".to_vec())];
    let entries = put(&from, "v1", &layers);
    let at = repository(from.host(), "test/app");
    let bytes = Source::Bytes(b"windows");
    wait(at.put_blob(&entries[1], bytes, None)).unwrap();
    for (source, destination) in [
        (named(&from), named(&to)),
        (named(&to), "oci-layout:l:v1".to_owned()),
    ] {
        let out = ours(&scratch, &["copy", &source, &destination]);
        out.ok().stderr_lacks("not copied");
    }
    for entry in &entries {
        assert!(to.has_blob(&entry.digest.to_string()));
    }
}

/// What one registry keeps as a manifest is pulled as one from the other.
#[test]
fn what_is_a_manifest_does_not_become_a_blob() {
    const KIND: &str = "application/vnd.acme.manifest+json";
    let scratch = Scratch::new();
    let (from, to) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
    let at = repository(from.host(), "test/app");
    let entry_bytes = br#"{"mediaType": "application/vnd.acme.manifest+json"}"#;
    let entry = Descriptor::of(KIND, entry_bytes);
    let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX,
        "manifests": [entry]})
    .to_string();
    let of = Descriptor::of(media_type::INDEX, index.as_bytes());
    wait(async {
        at.put_manifest(None, &entry, entry_bytes).await.unwrap();
        let bytes = index.as_bytes();
        at.put_manifest(Some("v1"), &of, bytes).await.unwrap();
    });
    ours(&scratch, &["copy", &named(&from), "oci-layout:l:v1"]).ok();
    for source in [named(&from), "oci-layout:l:v1".to_owned()] {
        let unknown = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#;
        let line = format!("PUT /v2/test/app/manifests/{}", entry.digest);
        let refused = Act::Answer(400, "", unknown.to_owned());
        to.front.next(line, refused);
        let out = ours(&scratch, &["copy", &source, &named(&to)]);
        out.says("MANIFEST_BLOB_UNKNOWN");
        assert!(to.front.done());
        assert!(!to.has_blob(&entry.digest.to_string()));
        assert_eq!(to.tag("test/app", "v1"), None);
    }
    // Where it lies as a blob, it is no manifest yet.
    let there = repository(to.host(), "test/app");
    wait(there.put_blob(&entry, Source::Bytes(entry_bytes), None)).unwrap();
    ours(&scratch, &["copy", &named(&from), &named(&to)]).ok();
    assert!(wait(there.entry(&entry)).unwrap().is_some());
}

#[test]
fn an_index_may_list_what_nobody_knows() {
    const KIND: &str = "application/vnd.oci.artifact.manifest.v1+json";
    let scratch = Scratch::new();
    let from = Fake::new(Kind::default());
    put(&from, "one", &[(TAR, b"ours".to_vec())]);
    let at = repository(from.host(), "test/app");
    let unknown = format!(r#"{{"mediaType": "{KIND}", "blobs": []}}"#);
    let entry = Descriptor::of(KIND, unknown.as_bytes());
    let blob = Descriptor::of("application/vnd.acme.thing", b"a blob that an index lists");
    let image: Value = {
        let digest = from.tag("test/app", "one").unwrap();
        let select = obreia::reference::Select::Digest(digest.parse().unwrap());
        json!(wait(at.resolve(&select)).unwrap().descriptor)
    };
    let index = json!({"schemaVersion": 2, "mediaType": media_type::INDEX,
        "manifests": [image, entry, blob]})
    .to_string();
    let of = Descriptor::of(media_type::INDEX, index.as_bytes());
    wait(async {
        at.put_manifest(None, &entry, unknown.as_bytes())
            .await
            .unwrap();
        let source = Source::Bytes(b"a blob that an index lists");
        at.put_blob(&blob, source, None).await.unwrap();
        let bytes = index.as_bytes();
        at.put_manifest(Some("v1"), &of, bytes).await.unwrap();
    });
    let (second, third) = (Fake::new(Kind::default()), Fake::new(Kind::default()));
    for (source, destination) in [
        (named(&from), named(&second)),
        (named(&second), "oci-layout:l:v1".to_owned()),
        ("oci-layout:l:v1".to_owned(), named(&third)),
    ] {
        ours(&scratch, &["copy", &source, &destination]).ok();
        let again = ours(&scratch, &["copy", &source, &destination]);
        again.ok().stdout_has("copied 0 of");
    }
    for fake in [&second, &third] {
        assert_eq!(
            fake.tag("test/app", "v1").as_deref(),
            Some(&*of.digest.to_string())
        );
        let at = repository(fake.host(), "test/app");
        let found = wait(at.entry(&entry)).unwrap();
        assert_eq!(found.as_deref(), Some(unknown.as_bytes()));
    }
}
