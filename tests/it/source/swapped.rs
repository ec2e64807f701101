//! A file that is swapped for another after it was opened: what was opened is
//! what is hashed, looked at, copied and signed, or there is no answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use obreia::bundle::{Bundle, Content};
use obreia::crypto::{PrivateKey, sha256};
use obreia::digest::Algorithm;
use obreia::ops::gather::Reading;
use obreia::ops::{Exit, Failure, copy, pull, push, verify};
use obreia::policy::Policy;
use obreia::reference::{ArtifactRef, Select};
use obreia::source::file::RegularFile;
use obreia::source::registry::Registries;
use obreia::source::stage::copy_into;
use obreia::source::tree::Symlinks;
use obreia::source::{Progress, SourceError};
use obreia::time::Timestamp;
use obreia::trust::TrustedKey;
use obreia::verify::{Outcome, Stage, Verdict};

use super::open;
use crate::harness::{Scratch, testdata};

/// Puts another file in a file's place when the first bytes were read.
struct Swap {
    new: PathBuf,
    place: PathBuf,
    done: Mutex<bool>,
}

impl Swap {
    fn new(scratch: &Scratch, new: &str, place: impl AsRef<Path>) -> Self {
        Self {
            new: scratch.join(new),
            place: scratch.join(place),
            done: Mutex::new(false),
        }
    }

    fn happened(&self) -> bool {
        *self.done.lock().unwrap()
    }
}

impl Progress for Swap {
    fn add(&self, bytes: u64) {
        let mut done = self.done.lock().unwrap();
        if bytes > 0 && !*done {
            // The clock that stamps files may tick as rarely as every 10 ms.
            std::thread::sleep(Duration::from_millis(25));
            fs::rename(&self.new, &self.place).expect("swap");
            *done = true;
        }
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn key(name: &str) -> PrivateKey {
    let pem = fs::read(testdata("keys").join(format!("{name}.pkcs8.pem"))).unwrap();
    PrivateKey::from_pem(&pem).unwrap()
}

/// A bundle with a signature over the bytes themselves.
fn message(key: &PrivateKey, bytes: &[u8]) -> Vec<u8> {
    let public = key.public_key();
    Bundle::by_key(
        public.sigstore_hint(),
        Content::Message {
            digest: Some(sha256(bytes)),
            signature: key.sign(public.default_scheme(), bytes).unwrap(),
        },
    )
    .to_json()
}

fn verify_as(
    artifact: &ArtifactRef,
    key: &PrivateKey,
    progress: &dyn Progress,
) -> Result<Verdict, Failure> {
    let trusted = TrustedKey::bare(key.public_key().clone(), "k.pem");
    let request = verify::Request {
        reading: Reading {
            artifact,
            name: None,
            kind: None,
            symlinks: Symlinks::Refuse,
            bundles: &[],
            signature: None,
            into: None,
            registries: &Registries::default(),
        },
        policies: &[Policy::for_key(vec![trusted], &[]).unwrap()],
        stage: Stage::Manual,
        now: Timestamp::from_secs(1_795_000_000),
        source_of_promotion: false,
        everywhere: false,
        platform: None,
        children: false,
        listed: None,
        named: None,
    };
    block_on(verify::verify(&request, progress))
}

fn path(scratch: &Scratch, name: &str) -> ArtifactRef {
    ArtifactRef::Path {
        path: scratch.join(name).display().to_string(),
        forced: None,
    }
}

fn changed(failure: &Failure) {
    assert_eq!(failure.exit, Exit::Undetermined, "{failure}");
    assert_eq!(failure.code, Some("artifact-changed"), "{failure}");
}

#[test]
fn an_open_file_is_never_opened_again() {
    let scratch = Scratch::new();
    let path = scratch.write("a", vec![1; 300_000]);
    let mut file = RegularFile::open(&path).unwrap();
    scratch.write("b", vec![2; 300_000]);
    std::thread::sleep(Duration::from_millis(25));
    fs::rename(scratch.join("b"), &path).unwrap();
    assert_eq!(file.start(10).unwrap(), [1; 10]);
    let mut buffer = [0; 10];
    assert_eq!(file.read_at(100, &mut buffer).unwrap(), 10);
    assert_eq!(buffer, [1; 10]);
    // It lost its name meanwhile, which its stamp tells.
    let is_changed = |error: SourceError| assert!(matches!(error, SourceError::Changed(_)));
    is_changed(file.hash(&[Algorithm::Sha256], &()).unwrap_err());
    is_changed(file.read_all(1 << 20).unwrap_err());
    is_changed(file.recheck().unwrap_err());
}

#[test]
fn a_bad_file_swapped_for_the_signed_one_is_not_allowed() {
    // Ed25519 signs the bytes, which are read after the digest was made.
    for name in ["p256", "ed25519"] {
        let key = key(name);
        let scratch = Scratch::new();
        let (good, evil) = (vec![1; 300_000], vec![2; 300_000]);
        scratch.write("app.bin.sigstore.json", message(&key, &good));
        scratch.write("app.bin", &good);
        let app = path(&scratch, "app.bin");
        let verdict = verify_as(&app, &key, &()).unwrap();
        assert_eq!(verdict.outcome, Outcome::Allowed, "{verdict:?}");
        scratch.write("app.bin", &evil);
        scratch.write("good", &good);
        let swap = Swap::new(&scratch, "good", "app.bin");
        changed(&verify_as(&app, &key, &swap).unwrap_err());
        assert!(swap.happened());
    }
}

#[test]
fn a_signed_file_swapped_for_a_bad_one_gets_no_verdict() {
    let key = key("p256");
    let scratch = Scratch::new();
    let good = vec![1; 300_000];
    scratch.write("app.bin.sigstore.json", message(&key, &good));
    scratch.write("app.bin", &good);
    scratch.write("evil", "evil");
    let swap = Swap::new(&scratch, "evil", "app.bin");
    changed(&verify_as(&path(&scratch, "app.bin"), &key, &swap).unwrap_err());
    assert!(swap.happened());
}

#[test]
fn a_file_of_a_model_swapped_while_it_is_copied_leaves_no_copy() {
    let scratch = Scratch::new();
    scratch.write("m/weights.bin", vec![2; 300_000]);
    scratch.write("good", vec![1; 300_000]);
    let tree = open(scratch.join("m")).unwrap();
    let swap = Swap::new(&scratch, "good", "m/weights.bin");
    let request = obreia::model::files::HashRequest::whole();
    let error = copy_into(&tree, &scratch.join("copy"), &request, &swap).unwrap_err();
    assert!(matches!(error, SourceError::Changed(_)), "{error}");
    assert!(swap.happened());
    assert_eq!(scratch.files(), ["m/weights.bin"]);
}

/// A layout `l` with a file of one signed layer, and the path of that layer.
fn packed(scratch: &Scratch, bytes: &[u8], key: &PrivateKey) -> (copy::Spot, PathBuf) {
    scratch.write("app.bin", bytes);
    scratch.write("app.bin.sigstore.json", message(key, bytes));
    let place = copy::Spot::parse(&format!("oci-layout:{}:v1", scratch.join("l").display()));
    let place = place.unwrap();
    let request = push::Request {
        path: &scratch.join("app.bin"),
        kind: None,
        symlinks: Symlinks::Refuse,
        destination: &place,
        registries: &Registries::default(),
        with_evidence: true,
    };
    block_on(push::push(&request, clock(), &())).unwrap();
    let layer = scratch.join("l/blobs/sha256").join(sha256(bytes).hex());
    assert!(layer.is_file());
    (place, layer)
}

fn clock() -> Arc<dyn obreia::time::Clock> {
    Arc::new(Timestamp::from_secs(1_795_000_000))
}

#[test]
fn a_blob_swapped_while_it_is_verified_is_not_allowed() {
    for name in ["p256", "ed25519"] {
        let (scratch, key) = (Scratch::new(), key(name));
        let good = vec![1; 300_000];
        let (_, layer) = packed(&scratch, &good, &key);
        let artifact = ArtifactRef::Layout {
            dir: scratch.join("l").display().to_string(),
            select: Select::Tag("v1".to_owned()),
        };
        let verdict = verify_as(&artifact, &key, &()).unwrap();
        assert_eq!(verdict.outcome, Outcome::Allowed, "{verdict:?}");
        fs::write(&layer, vec![2; 300_000]).unwrap();
        scratch.write("good", &good);
        let swap = Swap::new(&scratch, "good", &layer);
        changed(&verify_as(&artifact, &key, &swap).unwrap_err());
        assert!(swap.happened());
    }
}

#[test]
fn a_blob_swapped_while_it_is_pulled_is_not_pulled() {
    let (scratch, key) = (Scratch::new(), key("p256"));
    let good = vec![1; 300_000];
    let (place, layer) = packed(&scratch, &good, &key);
    let pull = |into: &str, progress: &dyn Progress| {
        let into = scratch.join(into);
        block_on(pull::pull(
            &place,
            &Registries::default(),
            &into,
            true,
            clock(),
            progress,
        ))
    };
    // What was opened is read to its end.
    scratch.write("evil", vec![2; 300_000]);
    let swap = Swap::new(&scratch, "evil", &layer);
    pull("one", &swap).unwrap();
    assert!(swap.happened());
    assert_eq!(scratch.read("one/app.bin"), good);
    // Now the other way round: the first bytes were the bad one's.
    scratch.write("good", &good);
    let swap = Swap::new(&scratch, "good", &layer);
    let failure = pull("two", &swap).unwrap_err();
    assert!(swap.happened());
    assert_eq!(failure.exit, Exit::Denied, "{failure}");
    assert!(!scratch.join("two").exists());
}

#[test]
fn a_file_swapped_while_it_is_pushed_is_not_pushed() {
    let (scratch, key) = (Scratch::new(), key("p256"));
    let (place, _) = packed(&scratch, b"first", &key);
    let before = scratch.read("l/index.json");
    scratch.write("app.bin", vec![2; 300_000]);
    scratch.write("good", vec![1; 300_000]);
    let swap = Swap::new(&scratch, "good", "app.bin");
    let request = push::Request {
        path: &scratch.join("app.bin"),
        kind: None,
        symlinks: Symlinks::Refuse,
        destination: &place,
        registries: &Registries::default(),
        with_evidence: true,
    };
    changed(&block_on(push::push(&request, clock(), &swap)).unwrap_err());
    assert!(swap.happened());
    assert_eq!(scratch.read("l/index.json"), before);
}
