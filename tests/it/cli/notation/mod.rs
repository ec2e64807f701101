//! Notation's signatures: certificates, timestamps, and what is wrong with them.

mod policies;
mod timestamps;

use std::path::PathBuf;

use obreia::oci::{Descriptor, media_type};
use obreia::source::registry::Source;
use rcgen::{BasicConstraints, CustomExtension, IsCa, RsaKeySize};
use serde_json::{Value, json};

use super::{allowed, codes, denied, private, public, verify};
use crate::harness::notary::{Draft, For, Party, Stamping, params, unstamped};
use crate::harness::{Output, Scratch, shared_data};
use crate::registry::fake::{Fake, Kind};
use crate::registry::{put_image, repository, wait};

/// While all certificates are valid, and after they have ended.
const DURING: &str = "2026-06-01T00:00:00Z";
const AFTER: &str = "2027-06-01T00:00:00Z";
const EXPIRY: &str = "io.cncf.notary.expiry";
const SCHEME: &str = "io.cncf.notary.signingScheme";

/// An image in a registry in memory, a root, an authority below it, a signer,
/// and an authority for timestamps.
struct Case {
    fake: Fake,
    scratch: Scratch,
    digest: String,
    root: Party,
    middle: Party,
    signer: Party,
    time_root: Party,
    time: Party,
}

impl Case {
    fn new() -> Self {
        let fake = Fake::new(Kind::default());
        let digest = put_image(fake.host(), "test/app", "v1");
        let scratch = Scratch::new();
        let root = Party::root("root");
        let middle = root.issue(params("middle", For::Issuing));
        let signer = middle.issue(params("builder", For::Code));
        let time_root = Party::root("time root");
        let time = time_root.issue(params("time", For::Time));
        scratch.write("root.pem", root.pem());
        scratch.write("time.pem", time_root.pem());
        scratch.write("other.pem", Party::root("other").pem());
        Self {
            fake,
            scratch,
            digest,
            root,
            middle,
            signer,
            time_root,
            time,
        }
    }

    fn name(&self) -> String {
        format!("{}/test/app@{}", self.fake.host(), self.digest)
    }

    fn image(&self) -> Descriptor {
        let at = repository(self.fake.host(), "test/app");
        let select = obreia::reference::Select::Digest(self.digest.parse().unwrap());
        wait(at.resolve(&select)).unwrap().descriptor.bare()
    }

    /// A signature of the image before it is made.
    fn draft(&self) -> Draft {
        Draft::about(
            json!(self.image()),
            &[&self.signer, &self.middle, &self.root],
        )
    }

    /// Hangs layers on the image as a Notation signature.
    fn refer_layers(&self, layers: &[(&str, &[u8])]) {
        let at = repository(self.fake.host(), "test/app");
        let mut listed = Vec::new();
        for (kind, bytes) in layers {
            let layer = Descriptor::of(*kind, bytes);
            wait(at.put_blob(&layer, Source::Bytes(bytes), None)).unwrap();
            listed.push(layer);
        }
        let config = Descriptor::of(media_type::EMPTY, b"{}");
        wait(at.put_blob(&config, Source::Bytes(b"{}"), None)).unwrap();
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
            "artifactType": media_type::NOTATION, "config": config, "layers": listed,
            "subject": self.image()})
        .to_string();
        let descriptor = Descriptor::of(media_type::MANIFEST, manifest.as_bytes());
        wait(at.put_manifest(None, &descriptor, manifest.as_bytes())).unwrap();
    }

    fn refer(&self, envelope: &[u8]) {
        let kind = match envelope.first() {
            Some(b'{') => media_type::JOSE,
            _ => media_type::COSE,
        };
        self.refer_layers(&[(kind, envelope)]);
    }

    fn verify(&self, more: &[&str]) -> Output {
        verify(&self.scratch, &[&[&*self.name()], more].concat())
    }

    /// By whom the root vouches for, as of that time.
    fn trusted(&self, at: &str, more: &[&str]) -> Output {
        let args = [
            "--certificate-roots",
            "root.pem",
            "--certificate-subject",
            "*",
            "--at",
            at,
        ];
        self.verify(&[&args, more].concat())
    }

    /// Under a policy with one authority, known by certificates.
    fn under(&self, at: &str, certificates: &str, more: &str) -> Output {
        self.policy(certificates, more);
        self.verify(&["--policy", "p.yaml", "--at", at])
    }

    fn policy(&self, certificates: &str, more: &str) -> PathBuf {
        let mut text = format!(
            "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: {{ name: p }}\nspec:\n  \
             match: [{{ name: \"**\" }}]\n  authorities:\n    - name: acme\n      \
             certificates: {{ {certificates} }}\n"
        );
        for line in more.lines() {
            text.push_str(&format!("  {line}\n"));
        }
        self.scratch.write("p.yaml", text)
    }

    /// A timestamp by the authority that is trusted with them.
    fn stamp(&self, at: &'static str) -> impl FnOnce(&[u8]) -> Option<Vec<u8>> + '_ {
        move |signature| Some(Stamping::new(&self.time, at).token(signature))
    }
}

const ROOTS: &str = "roots: [root.pem], subjects: [\"*\"]";
const STAMPED: &str = "roots: [root.pem], timestampRoots: [time.pem], subjects: [\"*\"]";
const FORMAT: &str = "signatures: { formats: [notation] }";

#[test]
fn signatures_of_every_algorithm_hold_in_both_envelopes() {
    let case = Case::new();
    denied(&case.trusted(DURING, &[]), "no-signature");
    let keys = [
        ("ES256", Party::key_of(&rcgen::PKCS_ECDSA_P256_SHA256)),
        ("ES384", Party::key_of(&rcgen::PKCS_ECDSA_P384_SHA384)),
        ("ES512", Party::key_of(&rcgen::PKCS_ECDSA_P521_SHA512)),
        ("PS256", Party::rsa(RsaKeySize::_2048)),
        ("PS384", Party::rsa(RsaKeySize::_3072)),
        ("PS512", Party::rsa(RsaKeySize::_4096)),
    ];
    for (algorithm, key) in keys {
        let signer = case.middle.issue_for(params(algorithm, For::Code), key);
        let chain = [&signer, &case.middle, &case.root];
        let draft = Draft::about(json!(case.image()), &chain).with("alg", algorithm);
        case.refer(&draft.jws(&signer, unstamped));
        case.refer(&draft.cose(&signer, unstamped));
    }
    let said = allowed(&case.trusted(DURING, &[]));
    let evidence = said["evidence"].as_array().unwrap();
    assert_eq!(evidence.len(), 12, "{said}");
    for piece in evidence {
        assert_eq!(piece["verified"], true, "{piece}");
        assert_eq!(piece["kind"], "signature", "{piece}");
        let signer = piece["signer"].as_str().unwrap();
        assert!(
            signer.starts_with("certificate (C=US, ST=WA, O=acme, CN="),
            "{piece}"
        );
        // That nobody looked is said with every signature.
        assert_eq!(
            piece["reasons"][0]["code"], "revocation-not-checked",
            "{piece}"
        );
    }
}

#[test]
fn a_certificate_that_is_its_own_issuer_signs_where_it_is_trusted_itself() {
    let case = Case::new();
    let alone = Party::alone(params("alone", For::Code));
    case.scratch.write("alone.pem", alone.pem());
    let draft = Draft::about(json!(case.image()), &[&alone]);
    case.refer(&draft.jws(&alone, unstamped));
    denied(&case.trusted(DURING, &[]), "certificate-not-trusted");
    allowed(&case.trusted(DURING, &["--certificate-roots", "alone.pem"]));
    denied(
        &case.trusted(AFTER, &["--certificate-roots", "alone.pem"]),
        "certificate-expired",
    );
}

/// Anybody who may push can hang anything on an image.
#[test]
fn headers_inside_headers_are_refused_before_they_are_read() {
    let text = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[0x59][..], &length, bytes].concat()
    };
    let mut headers = vec![0xa0];
    for _ in 0..6000 {
        // A countersignature, whose protected headers are the last ones.
        headers = [&[0xa1, 7, 0x83][..], &text(&headers), &[0xa0, 0x40]].concat();
    }
    let envelope = [
        &[0xd2, 0x84][..],
        &text(&headers),
        &[0xa0, 0x41, 1, 0x41, 1],
    ]
    .concat();
    let case = Case::new();
    case.refer(&envelope);
    denied(&case.trusted(DURING, &[]), "bundle-malformed");
    let key = case.verify(&["--key", &public("p256")]);
    denied(&key, "format-not-allowed");
    // And it is in nobody's way.
    case.refer(&case.draft().jws(&case.signer, unstamped));
    allowed(&case.trusted(DURING, &[]));
}

type Make = fn(&Case) -> Vec<u8>;

/// Each is signed by somebody who could have signed it right.
#[test]
fn what_is_wrong_with_a_signature_is_told_by_its_reason() {
    let rows: [(&str, &str, Make); 27] = [
        ("certificate-not-trusted", "CN=stranger", |case| {
            let root = Party::root("stranger");
            let signer = root.issue(params("builder", For::Code));
            Draft::about(json!(case.image()), &[&signer, &root]).jws(&signer, unstamped)
        }),
        ("certificate-invalid", "the root is missing", |case| {
            let chain = [&case.signer, &case.middle];
            Draft::about(json!(case.image()), &chain).jws(&case.signer, unstamped)
        }),
        ("certificate-invalid", "is issued by", |case| {
            let chain = [&case.signer, &case.root];
            Draft::about(json!(case.image()), &chain).jws(&case.signer, unstamped)
        }),
        // One who calls himself as the authority does.
        ("certificate-invalid", "not made by the issuer", |case| {
            let middle = Party::root("root").issue(params("middle", For::Issuing));
            let signer = middle.issue(params("builder", For::Code));
            let chain = [&signer, &middle, &case.root];
            Draft::about(json!(case.image()), &chain).jws(&signer, unstamped)
        }),
        // The authority itself behind one who only calls his own so.
        ("certificate-invalid", "not made by the issuer", |case| {
            let middle = Party::root("root").issue(params("middle", For::Issuing));
            let signer = middle.issue(params("builder", For::Code));
            let chain = [&signer, &case.middle, &case.root];
            Draft::about(json!(case.image()), &chain).cose(&signer, unstamped)
        }),
        ("certificate-invalid", "path length", |case| {
            let mut last = params("last", For::Issuing);
            last.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            let last = case.root.issue(last);
            let below = last.issue(params("below", For::Issuing));
            let signer = below.issue(params("builder", For::Code));
            let chain = [&signer, &below, &last, &case.root];
            Draft::about(json!(case.image()), &chain).jws(&signer, unstamped)
        }),
        ("certificate-invalid", "critical extension", |case| {
            let mut special = params("special", For::Code);
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            extension.set_criticality(true);
            special.custom_extensions = vec![extension];
            let signer = case.middle.issue(special);
            let chain = [&signer, &case.middle, &case.root];
            Draft::about(json!(case.image()), &chain).jws(&signer, unstamped)
        }),
        // A trusted root among others of its name, which nobody's signature leads to.
        (
            "certificate-invalid",
            "its own issuer and not the last",
            |case| {
                let impostor = Party::root("root");
                let signer = impostor.issue(params("builder", For::Code));
                let chain = [&signer, &case.root, &impostor];
                Draft::about(json!(case.image()), &chain).jws(&signer, unstamped)
            },
        ),
        (
            "certificate-invalid",
            "no certification authority's",
            |case| {
                let signer = case.signer.issue(params("below", For::Code));
                let chain = [&signer, &case.signer, &case.middle, &case.root];
                Draft::about(json!(case.image()), &chain).jws(&signer, unstamped)
            },
        ),
        ("certificate-purpose", "serverAuth", |case| {
            let signer = case.middle.issue(params("web", For::Servers));
            let chain = [&signer, &case.middle, &case.root];
            Draft::about(json!(case.image()), &chain).jws(&signer, unstamped)
        }),
        ("certificate-purpose", "timeStamping", |case| {
            let signer = case.middle.issue(params("time", For::Time));
            let chain = [&signer, &case.middle, &case.root];
            Draft::about(json!(case.image()), &chain).cose(&signer, unstamped)
        }),
        ("certificate-purpose", "key usage", |case| {
            let signer = case.middle.issue(params("none", For::Nothing));
            let chain = [&signer, &case.middle, &case.root];
            Draft::about(json!(case.image()), &chain).jws(&signer, unstamped)
        }),
        ("certificate-purpose", "certification authority's", |case| {
            let chain = [&case.middle, &case.root];
            Draft::about(json!(case.image()), &chain).jws(&case.middle, unstamped)
        }),
        ("signature-expired", "until 2026-05-02", |case| {
            let draft = case.draft().with(EXPIRY, "2026-05-02T00:00:00Z");
            draft
                .critical(&[SCHEME, EXPIRY])
                .jws(&case.signer, unstamped)
        }),
        // To the second: what ends now has ended.
        ("signature-expired", "until 2026-06-01", |case| {
            let draft = case.draft().with(EXPIRY, DURING);
            draft
                .critical(&[SCHEME, EXPIRY])
                .cose(&case.signer, unstamped)
        }),
        ("digest-mismatch", "is about manifest", |case| {
            let mut draft = case.draft();
            draft.payload["targetArtifact"]["digest"] = format!("sha256:{}", "a".repeat(64)).into();
            draft.jws(&case.signer, unstamped)
        }),
        ("digest-mismatch", "bytes of", |case| {
            let mut draft = case.draft();
            draft.payload["targetArtifact"]["size"] = 1.into();
            draft.cose(&case.signer, unstamped)
        }),
        ("digest-mismatch", "application/x.other", |case| {
            let mut draft = case.draft();
            draft.payload["targetArtifact"]["mediaType"] = "application/x.other".into();
            draft.jws(&case.signer, unstamped)
        }),
        ("scheme-mismatch", "states ecdsa-p384-sha384", |case| {
            let mut draft = case.draft().with("alg", "ES384");
            draft.signed_with = Some("ES256");
            draft.jws(&case.signer, unstamped)
        }),
        ("scheme-mismatch", "\"none\"", |case| {
            case.draft()
                .with("alg", "none")
                .jws(&case.signer, unstamped)
        }),
        ("scheme-mismatch", "is not PS256", |case| {
            case.draft()
                .with("alg", "HS256")
                .cose(&case.signer, unstamped)
        }),
        ("critical-header", "com.example.more", |case| {
            let draft = case.draft().with("com.example.more", "x");
            draft
                .critical(&[SCHEME, "com.example.more"])
                .jws(&case.signer, unstamped)
        }),
        ("critical-header", "verificationPlugin", |case| {
            let draft = case.draft().with("io.cncf.notary.verificationPlugin", "p");
            draft
                .critical(&[SCHEME, "io.cncf.notary.verificationPlugin"])
                .cose(&case.signer, unstamped)
        }),
        ("payload-type", "application/json", |case| {
            case.draft()
                .with("cty", "application/json")
                .jws(&case.signer, unstamped)
        }),
        ("signature-invalid", "CN=builder", |case| {
            let one = case.draft().jws(&case.signer, unstamped);
            let other = case.draft().with(EXPIRY, AFTER).critical(&[SCHEME, EXPIRY]);
            let (mut one, other): (Value, Value) = (
                serde_json::from_slice(&one).unwrap(),
                serde_json::from_slice(&other.jws(&case.signer, unstamped)).unwrap(),
            );
            one["protected"] = other["protected"].clone();
            one.to_string().into_bytes()
        }),
        ("bundle-malformed", "must be marked as critical", |case| {
            let draft = case.draft().with(EXPIRY, AFTER);
            draft.jws(&case.signer, unstamped)
        }),
        ("bundle-malformed", "not a Notation envelope", |_| {
            b"{".to_vec()
        }),
    ];
    for (code, says, make) in rows {
        let case = Case::new();
        case.refer(&make(&case));
        let out = case.trusted(DURING, &[]);
        let said = denied(&out, code);
        let detail = said["reasons"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{says}: {out}");
        assert_eq!(said["evidence"][0]["verified"], false, "{out}");
    }
}

#[test]
fn what_is_no_signature_of_notations_is_reported() {
    let good = Case::new();
    let envelope = good.draft().jws(&good.signer, unstamped);
    let layers: [&[(&str, &[u8])]; 4] = [
        &[],
        &[("application/x.other", b"{}")],
        &[(media_type::JOSE, &envelope), (media_type::JOSE, &envelope)],
        // JSON under the name of CBOR.
        &[(media_type::COSE, &envelope)],
    ];
    for layers in layers {
        let case = Case::new();
        case.refer_layers(layers);
        denied(&case.trusted(DURING, &[]), "bundle-malformed");
        // Somebody else's mistake changes nothing where a signature holds.
        case.refer(&case.draft().jws(&case.signer, unstamped));
        let said = allowed(&case.trusted(DURING, &[]));
        assert!(
            codes(&said, "notes").contains(&"evidence-ignored".to_owned()),
            "{said}"
        );
    }
}

#[test]
fn it_is_found_in_a_layout_and_shown_in_the_tree() {
    let case = Case::new();
    case.refer(&case.draft().cose(&case.signer, unstamped));
    let private = private("p256");
    let sign = ["sign", &case.name(), "--key", &private];
    case.scratch.obreia().args(sign).run().ok();
    let copy = ["copy", &case.name(), "oci-layout:store"];
    case.scratch.obreia().args(copy).run().ok();
    let name = format!("oci-layout:store@{}", case.digest);
    let trust = [
        "--certificate-roots",
        "root.pem",
        "--certificate-subject",
        "*",
    ];
    let verified = [&[&*name], &trust[..], &["--at", DURING]].concat();
    allowed(&verify(&case.scratch, &verified));
    let key = public("p256");
    allowed(&verify(&case.scratch, &[&name, "--key", &key]));
    let tree = case.scratch.obreia().args(["tree", &name]).run();
    tree.ok().stdout_has("Notation signature");
}

/// What the Notary Project publishes of its own tests.
#[test]
fn published_signatures_come_to_what_their_names_say() {
    let Some(data) = shared_data("notation") else {
        return;
    };
    let scratch = Scratch::new();
    let run = |layout: &str, root: &str| {
        let name = format!("oci-layout:{}:v1", data.join(layout).display());
        let root = data.join("certs").join(root).display().to_string();
        let subject = "C=US, ST=WA, O=Notary";
        let trust = [
            "--certificate-roots",
            &root,
            "--certificate-subject",
            subject,
        ];
        verify(&scratch, &[&[&*name], &trust[..]].concat())
    };
    let e2e = "e2e.crt";
    let said = allowed(&run("e2e-valid-signature", e2e));
    assert_eq!(said["evidence"].as_array().unwrap().len(), 1);
    let said = allowed(&run("e2e-valid-multiple-signatures", e2e));
    // The second one is by a certificate that is not published along.
    let told: Vec<_> = said["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["verified"] == true, one["reasons"][0]["code"].as_str()))
        .collect();
    assert_eq!(told.len(), 2, "{said}");
    assert!(
        told.contains(&(true, Some("revocation-not-checked"))),
        "{said}"
    );
    assert!(
        told.contains(&(false, Some("certificate-not-trusted"))),
        "{said}"
    );
    denied(&run("e2e-expired-signature", e2e), "signature-expired");
    denied(&run("e2e-invalid-signature", e2e), "bundle-malformed");
    denied(&run("e2e", e2e), "no-signature");
    denied(
        &run("e2e-valid-signature", "new_e2e.crt"),
        "certificate-not-trusted",
    );
}
