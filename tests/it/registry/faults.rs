//! Something that does wrong between us and a real registry.

use super::between::{Act, Between};
use super::key;
use super::server::Server;
use super::{put_image, repository, wait};
use crate::harness::{Output, Scratch};
use obreia::crypto::sha256;
use obreia::oci::{Descriptor, media_type};
use obreia::source::registry::Source;

/// Debian's registry with something between, and an image that is signed.
struct Case {
    between: Between,
    scratch: Scratch,
    _server: Server,
}

impl Case {
    fn new() -> Option<Self> {
        let server = Server::start("docker-registry")?;
        let between = Between::new(&server.host);
        put_image(&server.host, "test/app", "v1");
        Some(Self {
            between,
            scratch: Scratch::new(),
            _server: server,
        })
    }

    fn name(&self) -> String {
        format!("{}/test/app:v1", self.between.host)
    }

    fn sign(&self) -> Output {
        self.sign_noting("n=0")
    }

    /// With a note, so that another signature of the key is no reason to leave it.
    fn sign_noting(&self, note: &str) -> Output {
        let key = key("p256.pkcs8.pem");
        self.scratch
            .obreia()
            .args(["sign", &self.name(), "--key", &key, "-a", note])
            .run()
    }

    fn verify(&self) -> Output {
        let key = key("p256.pub.pem");
        let args = ["verify", &self.name(), "--key", &key, "-o", "json"];
        self.scratch.obreia().args(args).run()
    }
}

fn answer(status: u16, more: &'static str) -> Act {
    Act::Answer(status, more, String::new())
}

#[test]
fn what_passes_is_outlasted_and_what_does_not_is_undetermined() {
    let Some(case) = Case::new() else { return };
    case.sign().ok();
    case.verify().ok();
    for place in [
        "/manifests/v1",
        "/referrers/",
        "/manifests/sha256-",
        "/blobs/sha256",
    ] {
        for act in [
            answer(429, ""),
            answer(429, "Retry-After: 1"),
            answer(500, ""),
            Act::CutBefore,
            Act::CutMid(5),
        ] {
            case.between.next(place, act);
            case.verify().ok();
            assert!(case.between.done());
        }
    }
    for place in ["/manifests/v1", "/referrers/", "/manifests/sha256-"] {
        for act in [
            answer(403, ""),
            answer(401, ""),
            answer(429, "Retry-After: 999"),
            Act::Garbage(100),
        ] {
            case.between.next(place, act);
            case.verify().expect_code(4);
            assert!(case.between.done(), "{place}");
        }
    }
    case.verify().ok();
}

#[test]
fn signing_outlasts_what_passes_and_loses_nothing() {
    let Some(case) = Case::new() else { return };
    for (number, (place, act)) in [
        ("POST", answer(500, "")),
        ("PUT", Act::CutAfter),
        ("PUT /v2/test/app/blobs", Act::CutBefore),
        ("PUT /v2/test/app/manifests", Act::CutAfter),
        ("HEAD", Act::CutBefore),
    ]
    .into_iter()
    .enumerate()
    {
        case.between.next(place, act);
        let note = format!("n={number}");
        let done = case.sign_noting(&note);
        // A blob whose upload broke may have to be sent by the next run.
        if done.code != Some(0) {
            done.expect_code(4);
            case.sign_noting(&note).ok();
        }
        assert!(case.between.done(), "{place}");
        case.verify().ok();
    }
}

#[test]
fn bytes_that_are_not_of_their_digest_are_never_believed() {
    let Some(case) = Case::new() else { return };
    case.sign().ok();
    let flip: fn(&[u8]) -> Vec<u8> = |bytes| {
        let mut bytes = bytes.to_vec();
        if let Some(last) = bytes.iter_mut().rev().nth(3) {
            *last ^= 1;
        }
        bytes
    };
    let longer: fn(&[u8]) -> Vec<u8> = |bytes| [bytes, b" "].concat();
    let shorter: fn(&[u8]) -> Vec<u8> = |bytes| bytes[..bytes.len() / 2].to_vec();
    for place in ["/manifests/v1", "/manifests/sha256:", "/blobs/sha256"] {
        for change in [flip, longer, shorter] {
            case.between.next(place, Act::Change(change));
            // Damaged on the way: nothing was decided on it.
            case.verify().expect_code(4);
        }
    }
    case.verify().ok();
}

#[test]
fn large_blobs_survive_a_connection_that_breaks() {
    let Some(case) = Case::new() else { return };
    let bytes: Vec<u8> = (0..11_u32 << 20).map(|at| (at % 249) as u8).collect();
    let blob = Descriptor::new(media_type::OCTETS, sha256(&bytes), bytes.len() as u64);
    let at = repository(&case.between.host, "test/app");
    // This registry gives an upload up whose answer was lost; the next begins anew.
    case.between.next("PATCH", Act::CutAfter);
    assert!(wait(at.put_blob(&blob, Source::Bytes(&bytes), None)).is_err());
    assert!(!wait(at.has_blob(&blob)).unwrap());
    case.between.next("PATCH", Act::CutBefore);
    wait(at.put_blob(&blob, Source::Bytes(&bytes), None)).unwrap();
    for cut in [1_000_000, 5_000_000] {
        case.between
            .next("GET /v2/test/app/blobs", Act::CutMid(cut));
    }
    assert!(wait(at.read_blob(&blob, 20 << 20)).unwrap() == bytes);
    assert!(case.between.done());
    let beside = repository(&case.between.host, "test/beside");
    assert!(!wait(beside.has_blob(&blob)).unwrap());
}
