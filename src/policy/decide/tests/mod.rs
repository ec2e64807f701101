mod properties;

use serde_json::{Map, Value, json};

use super::*;
use crate::crypto::PublicKey;
use crate::digest::{Digest, Identity};
use crate::policy::document::Document;
use crate::policy::{Gathered, Policy};
use crate::time::Timestamp;
use crate::trust::TrustedKey;
use crate::verify::{
    ArtifactFact, ArtifactKind, AttestationFact, ModelFacts, SignatureFact, SignatureFormat,
    SignerKey,
};

pub(super) const PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaEOVJCFtduYr3xqTxeRWSW32CY/s
TBNZj4oIUPl8JvhVPJ1TKDPlNcuT4YphSt6t3yOmMvkdQbCj8broX6vijw==
-----END PUBLIC KEY-----
";
const OTHER: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZxAfzrQG1EbWyCI8LiSB7YgSFXoI
FNGTyQGKHFc6/H8TQumT9VLS78pUwtv3w7EfKoyFZoP32KrO7nzUy2q6Cw==
-----END PUBLIC KEY-----
";

const NOW: i64 = 1_795_000_000_000_000_000;

/// Authorities `sec` and `ci`, with `rest` as further lines of `spec`.
pub(super) fn policy(rest: &str) -> Policy {
    let indent = |pem: &str| pem.trim_end().replace('\n', "\n          ");
    let yaml = format!(
        "apiVersion: obreia/v1
kind: VerificationPolicy
metadata: {{ name: p }}
spec:
  match: [{{ kind: model }}]
  authorities:
    - name: sec
      keys:
        - |
          {}
    - name: ci
      keys:
        - |
          {}
{rest}",
        indent(PEM),
        indent(OTHER)
    );
    let document = Document::parse("p.yaml", yaml.as_bytes())
        .unwrap()
        .remove(0);
    Policy::compile(document, &Gathered::default()).unwrap()
}

fn digest() -> Digest {
    format!("sha256:{}", "ab".repeat(32)).parse().unwrap()
}

fn artifact() -> ArtifactFact {
    ArtifactFact {
        kind: ArtifactKind::Model,
        name: "fraud/v1".into(),
        read_as: "directory",
        identity: Identity::Directory(digest()),
        digests: vec![Identity::Directory(digest())],
        content: None,
        size: Some(1),
        platform: None,
        media_type: None,
    }
}

fn key(id: &str) -> SignerKey {
    SignerKey {
        id: id.into(),
        path: format!("{id}.pem"),
        version: None,
        state: "active",
        marks: Vec::new(),
    }
}

fn signature(authority: &str, id: &str) -> SignatureFact {
    SignatureFact {
        authority: authority.into(),
        key: key(id),
        format: SignatureFormat::Oms,
        signed_at: None,
        time_source: None,
        certificate: None,
        claims: Map::new(),
        uncovered: Vec::new(),
        origin: format!("{id}.sig"),
    }
}

fn attestation(authority: &str, kind: &str, predicate: Value) -> AttestationFact {
    AttestationFact {
        predicate_type: kind.into(),
        predicate,
        authority: authority.into(),
        key: key(authority),
        signed_at: None,
        digest: digest(),
        claims: Map::new(),
        origin: format!("{authority}.json"),
    }
}

struct Scene {
    artifact: ArtifactFact,
    stage: Stage,
    signatures: Vec<SignatureFact>,
    attestations: Vec<AttestationFact>,
    mutable: bool,
    failed: Vec<Reason>,
    evidence: Vec<EvidenceReport>,
    source: bool,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            artifact: artifact(),
            stage: Stage::Startup,
            signatures: vec![signature("sec", "k1")],
            attestations: Vec::new(),
            mutable: false,
            failed: Vec::new(),
            evidence: Vec::new(),
            source: false,
        }
    }
}

impl Scene {
    fn under(&self, policy: &Policy) -> PolicyDecision {
        let model = ModelFacts::default();
        let view = View {
            artifact: &self.artifact,
            stage: self.stage,
            signatures: self.signatures.iter().collect(),
            attestations: self.attestations.iter().collect(),
            model: Some(&model),
            mutable: self.mutable,
            image: None,
            now_ns: NOW,
            supposed: false,
        };
        let lookups = Lookups {
            failed: &self.failed,
            evidence: &self.evidence,
            source_of_promotion: self.source,
        };
        decide(policy, &view, &lookups)
    }
}

fn codes(decision: &PolicyDecision) -> Vec<&'static str> {
    decision.reasons.iter().map(|r| r.code.as_str()).collect()
}

#[track_caller]
fn denied(decision: &PolicyDecision, expected: &[&str]) {
    assert_eq!(codes(decision), expected, "{decision:#?}");
    assert_eq!(decision.outcome, Outcome::Denied);
    assert!(decision.reasons.iter().all(|r| r.policy.is_some()));
}

#[track_caller]
fn allowed(decision: &PolicyDecision) {
    assert_eq!(decision.outcome, Outcome::Allowed, "{decision:#?}");
    assert!(decision.reasons.is_empty());
}

fn failed() -> Vec<Reason> {
    vec![Reason::new(
        ReasonCode::EvidenceUnreadable,
        "the registry is away",
    )]
}

fn report(kind: &'static str, predicate_type: Option<&str>, code: ReasonCode) -> EvidenceReport {
    EvidenceReport {
        origin: "found.sig".into(),
        kind,
        predicate_type: predicate_type.map(str::to_owned),
        signer: None,
        verified: false,
        reasons: vec![Reason::new(code, "because")],
        near_miss: vec!["would have to differ".into()],
    }
}

#[test]
fn one_signature_by_an_authority() {
    allowed(&Scene::default().under(&policy("")));
    let none = Scene {
        signatures: vec![],
        ..Scene::default()
    };
    denied(&none.under(&policy("")), &["no-signature"]);
}

#[test]
fn another_authority_than_asked() {
    let p = policy("  signatures: { from: [ci] }\n");
    denied(&Scene::default().under(&p), &["key-not-trusted"]);
}

#[test]
fn format_by_name() {
    let p = policy("  signatures: { formats: [bundle] }\n");
    denied(&Scene::default().under(&p), &["format-not-allowed"]);
    let mut raw = signature("sec", "k1");
    raw.format = SignatureFormat::Raw;
    let scene = Scene {
        signatures: vec![raw],
        ..Scene::default()
    };
    denied(&scene.under(&policy("")), &["format-not-allowed"]);
    allowed(&scene.under(&policy("  signatures: { formats: [raw] }\n")));
}

#[test]
fn a_key_counts_once() {
    let p = policy("  signatures: { threshold: 2 }\n");
    let mut second = signature("sec", "k1");
    second.origin = "second.sig".into();
    second.key.version = Some(2);
    let mut scene = Scene {
        signatures: vec![signature("sec", "k1"), second, signature("ci", "k1")],
        ..Scene::default()
    };
    denied(&scene.under(&p), &["threshold-not-met"]);
    scene.signatures.push(signature("ci", "k2"));
    allowed(&scene.under(&p));
}

#[test]
fn one_key_in_two_encodings_is_one_key() {
    // The same point, compressed: other bytes, another hash, the same key.
    let der = PublicKey::from_pem(PEM.as_bytes())
        .unwrap()
        .spki_der()
        .to_vec();
    let sign = 2 + (der[90] & 1);
    let mut compressed = der[..27].to_vec();
    compressed[1] = 0x39;
    compressed[24] = 0x22;
    compressed[26] = sign;
    compressed.extend_from_slice(&der[27..59]);
    let compressed = PublicKey::from_spki_der(&compressed).unwrap();
    let keys = vec![
        TrustedKey::bare(PublicKey::from_pem(PEM.as_bytes()).unwrap(), "a"),
        TrustedKey::bare(compressed, "b"),
    ];
    assert_ne!(keys[0].key_id, keys[1].key_id);
    let policy = Policy::for_key(keys, &[]).unwrap();
    let keys = &policy.authorities()[0].keys;
    assert_eq!(keys[0].key_id, keys[1].key_id);
}

#[test]
fn the_same_key_under_two_ids_cannot_meet_a_threshold() {
    let yaml = format!(
        "apiVersion: obreia/v1
kind: VerificationPolicy
metadata: {{ name: p }}
spec:
  match: [{{ kind: model }}]
  authorities:
    - name: sec
      keys: [{{ pem: {0:?}, id: one }}, {{ pem: {0:?}, id: two }}]
  signatures: {{ threshold: 2 }}
",
        PEM
    );
    let document = Document::parse("p.yaml", yaml.as_bytes())
        .unwrap()
        .remove(0);
    let err = Policy::compile(document, &Gathered::default()).unwrap_err();
    assert!(err.to_string().contains("have 1"), "{err}");
}

#[test]
fn unsigned_files_need_the_policys_own_word() {
    let mut scene = Scene::default();
    scene.signatures[0].uncovered = vec![".git/config".into(), "notes/a.txt".into()];
    for stage in [Stage::Startup, Stage::Promotion] {
        scene.stage = stage;
        let decision = scene.under(&policy(""));
        denied(&decision, &["unsigned-files"]);
        let detail = &decision.reasons[0].detail;
        assert!(detail.contains("notes/a.txt") && detail.contains(".git/config"));
        denied(
            &scene.under(&policy("  ignorePaths: [.git]\n")),
            &["unsigned-files"],
        );
        allowed(&scene.under(&policy("  ignorePaths: [.git, notes/*.txt]\n")));
    }
    scene.stage = Stage::Manual;
    let decision = scene.under(&policy(""));
    allowed(&decision);
    assert_eq!(decision.notes[0].code, ReasonCode::UnsignedFiles);
}

#[test]
fn a_bare_key() {
    let keys = vec![TrustedKey::bare(
        PublicKey::from_pem(PEM.as_bytes()).unwrap(),
        "k.pem",
    )];
    let p = Policy::for_key(keys.clone(), &[]).unwrap();
    let mut scene = Scene {
        signatures: vec![signature("key", "k1")],
        mutable: true,
        ..Scene::default()
    };
    let decision = scene.under(&p);
    allowed(&decision);
    assert_eq!(decision.notes[0].code, ReasonCode::Mutable);
    scene.stage = Stage::Manual;
    scene.signatures[0].uncovered = vec!["x".into()];
    denied(&scene.under(&p), &["unsigned-files"]);
    allowed(&scene.under(&Policy::for_key(keys.clone(), &["x".into()]).unwrap()));
    assert!(Policy::for_key(keys, &["../x".into()]).is_err());
}

#[test]
fn mutable_is_denied_at_startup() {
    let mut scene = Scene {
        mutable: true,
        ..Scene::default()
    };
    denied(&scene.under(&policy("")), &["mutable"]);
    allowed(&scene.under(&policy("  mutable: allow\n")));
    // Proven: no look-up could undo it.
    scene.failed = failed();
    denied(&scene.under(&policy("")), &["mutable"]);
    scene.failed.clear();
    scene.stage = Stage::Manual;
    allowed(&scene.under(&policy("")));
}

#[test]
fn failed_lookups() {
    let mut scene = Scene {
        failed: failed(),
        ..Scene::default()
    };
    // What was verified suffices.
    let decision = scene.under(&policy(""));
    allowed(&decision);
    assert_eq!(decision.notes[0].code, ReasonCode::EvidenceUnreadable);
    // It does not, and absence is not proven.
    scene.signatures.clear();
    let decision = scene.under(&policy(""));
    assert_eq!(decision.outcome, Outcome::Undetermined);
    assert_eq!(codes(&decision), ["evidence-unreadable"]);
    assert_eq!(decision.notes[0].code, ReasonCode::NoSignature);
}

#[test]
fn nearest_miss_first_and_all_of_them() {
    let scene = Scene {
        signatures: vec![],
        evidence: vec![
            report("signature", None, ReasonCode::KeyNotTrusted),
            report("unreadable", None, ReasonCode::BundleMalformed),
            report("signature", None, ReasonCode::DigestMismatch),
            report("unreadable", None, ReasonCode::EvidenceIgnored),
            report(
                "attestation",
                Some("https://x.example/y"),
                ReasonCode::PredicateInvalid,
            ),
        ],
        ..Scene::default()
    };
    let decision = scene.under(&policy(""));
    denied(
        &decision,
        &["digest-mismatch", "key-not-trusted", "bundle-malformed"],
    );
    assert!(
        decision
            .nearest
            .contains(&"would have to differ".to_owned())
    );
}

#[test]
fn somebody_elses_evidence_changes_nothing() {
    let mut scene = Scene::default();
    let alone = scene.under(&policy(""));
    scene.evidence = vec![report("signature", None, ReasonCode::SignatureInvalid)];
    scene.signatures.push(signature("ci", "k9"));
    let p = policy("  signatures: { from: [sec] }\n");
    assert_eq!(scene.under(&p).outcome, alone.outcome);
    allowed(&scene.under(&p));
}

const SLSA: &str = "https://slsa.dev/provenance/v1";

#[test]
fn attestations_by_type_and_authority() {
    let p = policy("  attestations: [{ type: slsaprovenance1, from: [ci] }]\n");
    let mut scene = Scene::default();
    denied(&scene.under(&p), &["no-attestation"]);
    scene.attestations = vec![attestation("sec", SLSA, json!({}))];
    denied(&scene.under(&p), &["key-not-trusted"]);
    scene.attestations.push(attestation(
        "ci",
        "https://slsa.dev/provenance/v0.2",
        json!({}),
    ));
    denied(&scene.under(&p), &["key-not-trusted"]);
    // One that breaks its own type does not count either, and is the nearer miss.
    scene.attestations.push(attestation("ci", SLSA, json!({})));
    denied(&scene.under(&p), &["predicate-invalid", "key-not-trusted"]);
    let provenance = json!({
        "buildDefinition": {"buildType": "https://ci.example/build", "externalParameters": {}},
        "runDetails": {"builder": {"id": "https://ci.example/runner"}},
    });
    scene.attestations.push(attestation("ci", SLSA, provenance));
    allowed(&scene.under(&p));
    // An attestation never stands in for a signature.
    scene.signatures.clear();
    denied(&scene.under(&p), &["no-signature"]);
}

#[test]
fn an_invalid_attestation_is_named() {
    let p = policy("  attestations: [{ type: cyclonedx, from: [ci] }]\n");
    let scene = Scene {
        evidence: vec![
            report(
                "attestation",
                Some("https://cyclonedx.org/bom/v1.6"),
                ReasonCode::PredicateInvalid,
            ),
            report("attestation", Some(SLSA), ReasonCode::SignatureInvalid),
        ],
        ..Scene::default()
    };
    denied(&scene.under(&p), &["predicate-invalid"]);
}

#[test]
fn age_needs_a_trusted_time() {
    let p = policy("  attestations: [{ type: cyclonedx, from: [ci], maxAge: 30d }]\n");
    let day = 86_400_000_000_000;
    let mut scene = Scene {
        attestations: vec![attestation(
            "ci",
            "https://cyclonedx.org/bom",
            json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}),
        )],
        ..Scene::default()
    };
    denied(&scene.under(&p), &["time-untrusted"]);
    for (age, expected) in [
        (29 * day, None),
        (30 * day, None),
        (30 * day + 1, Some("too-old")),
        (-day, Some("time-untrusted")),
    ] {
        scene.attestations[0].signed_at = Some(Timestamp::from_nanos(NOW - age));
        let decision = scene.under(&p);
        match expected {
            None => allowed(&decision),
            Some(code) => denied(&decision, &[code]),
        }
    }
}

#[test]
fn signed_time_of_signatures() {
    let p = policy("  time: { require: signed }\n");
    let mut scene = Scene::default();
    denied(&scene.under(&p), &["time-untrusted"]);
    scene.signatures[0].signed_at = Some(Timestamp::from_nanos(NOW));
    allowed(&scene.under(&p));
}

#[test]
fn binding_by_signed_claims() {
    let p = policy("  binding: { from: [sec], repository: acme/fraud, stage: prod }\n");
    let mut scene = Scene::default();
    denied(&scene.under(&p), &["binding-missing"]);
    let claims = |stage: &str| {
        let mut claims = Map::new();
        claims.insert("repository".into(), "acme/fraud".into());
        claims.insert("stage".into(), stage.into());
        claims
    };
    // A staging signature is no production signature.
    scene.signatures[0].claims = claims("staging");
    denied(&scene.under(&p), &["binding-missing"]);
    // Two halves by two signatures are not one claim.
    let mut half = signature("sec", "k2");
    half.claims.insert("stage".into(), "prod".into());
    scene.signatures.push(half);
    denied(&scene.under(&p), &["binding-missing"]);
    // Another authority's claim does not bind.
    let mut other = signature("ci", "k3");
    other.claims = claims("prod");
    scene.signatures.push(other);
    denied(&scene.under(&p), &["binding-missing"]);
    scene.source = true;
    allowed(&scene.under(&p));
    scene.source = false;
    scene.signatures[0].claims = claims("prod");
    allowed(&scene.under(&p));
}

#[test]
fn what_binds_need_not_count_and_what_counts_need_not_bind() {
    let p = policy(
        "  signatures: { from: [sec], formats: [oms] }\n  binding: { from: [ci], stage: prod }\n",
    );
    let mut release = signature("ci", "k2");
    release.format = SignatureFormat::Bundle;
    release.claims.insert("stage".into(), "prod".into());
    // Neither stands in for the other.
    let alone = Scene {
        signatures: vec![release.clone()],
        ..Scene::default()
    };
    denied(&alone.under(&p), &["key-not-trusted"]);
    let mut scene = Scene::default();
    scene.signatures[0].claims = release.claims.clone();
    denied(&scene.under(&p), &["binding-missing"]);
    scene.signatures.push(release);
    allowed(&scene.under(&p));
}

#[test]
fn a_claim_without_a_trusted_time_binds_nothing_where_one_is_asked_for() {
    for rest in [
        "  binding: { from: [ci], stage: prod }\n",
        "  binding: { from: [ci], repository: r, verifiers: [https://acme.example/gate] }\n",
    ] {
        let p = policy(&format!("  time: {{ require: signed }}\n{rest}"));
        let now = Some(Timestamp::from_nanos(NOW));
        let mut scene = Scene::default();
        scene.signatures[0].signed_at = now;
        let mut release = signature("ci", "k2");
        release.claims.insert("stage".into(), "prod".into());
        scene.signatures.push(release);
        scene.attestations.push(attestation(
            "ci",
            "https://slsa.dev/verification_summary/v1",
            json!({ "verificationResult": "PASSED", "resourceUri": "r",
                    "verifier": { "id": "https://acme.example/gate" } }),
        ));
        let decision = scene.under(&p);
        // The release authority's signature is no reason of its own: it is not asked for.
        assert_eq!(decision.outcome, Outcome::Denied, "{decision:#?}");
        let missing = decision
            .reasons
            .iter()
            .find(|r| r.code == ReasonCode::BindingMissing);
        assert!(
            missing
                .unwrap()
                .detail
                .contains("no trusted source says when")
        );
        scene.signatures[1].signed_at = now;
        scene.attestations[0].signed_at = now;
        allowed(&scene.under(&p));
    }
}

#[test]
fn binding_by_a_verification_summary() {
    let p = policy(
        "  binding: { from: [ci], repository: r.example/prod/fraud, verifiers: [https://acme.example/gate] }\n",
    );
    let vsa = |result: &str, verifier: &str, uri: &str| {
        attestation(
            "ci",
            "https://slsa.dev/verification_summary/v1",
            json!({ "verificationResult": result, "verifier": { "id": verifier }, "resourceUri": uri }),
        )
    };
    let gate = "https://acme.example/gate";
    let uri = "oci://r.example/prod/fraud:v1@sha256:00";
    for (result, verifier, uri, met) in [
        ("PASSED", gate, uri, true),
        ("PASSED", gate, "r.example/prod/fraud", true),
        ("FAILED", gate, uri, false),
        ("passed", gate, uri, false),
        ("PASSED", "https://evil.example/gate", uri, false),
        ("PASSED", gate, "oci://r.example/staging/fraud:v1", false),
        (
            "PASSED",
            gate,
            "oci://evil.example/r.example/prod/fraud",
            false,
        ),
    ] {
        let scene = Scene {
            attestations: vec![vsa(result, verifier, uri)],
            ..Scene::default()
        };
        let decision = scene.under(&p);
        if met {
            allowed(&decision);
        } else {
            denied(&decision, &["binding-missing"]);
        }
    }
}

#[test]
fn warn_allows_and_says_so_where_nothing_runs() {
    let p = policy("  mode: warn\n");
    let mut scene = Scene {
        signatures: vec![],
        stage: Stage::Admission,
        ..Scene::default()
    };
    let decision = scene.under(&p);
    allowed(&decision);
    assert!(decision.would_deny);
    let notes: Vec<_> = decision.notes.iter().map(|n| n.code.as_str()).collect();
    assert_eq!(notes, ["would-deny", "no-signature"]);
    // Nothing starts on a warning, even if selection were skipped.
    scene.stage = Stage::Startup;
    denied(&scene.under(&p), &["no-signature"]);
    let kinds = [ArtifactKind::Model];
    let policies = [p];
    for (stage, refused) in [
        (Stage::Startup, true),
        (Stage::Promotion, true),
        (Stage::Manual, false),
    ] {
        let selected = crate::policy::select(&policies, &kinds, "m", stage);
        assert_eq!(selected.is_err(), refused, "{stage}");
    }
}

#[test]
fn supposed_facts_and_verified_ones_look_alike_to_rules() {
    let artifact = artifact();
    let facts = crate::verify::Facts {
        artifact: artifact.clone(),
        stage: Stage::Manual,
        signatures: Vec::new(),
        attestations: Vec::new(),
        model: Some(ModelFacts::default()),
        mutable: true,
        image: Some(std::collections::BTreeMap::from([(
            "config".to_owned(),
            json!({}),
        )])),
        now_ns: NOW,
    };
    let seen = serde_json::to_value(View::from(&facts)).unwrap();
    assert_eq!(seen, serde_json::to_value(&facts).unwrap());
}

#[test]
fn failed_lookups_and_rules() {
    let p = policy("  rules: { rego: \"package obreia\\nallow := true\" }\n");
    let mut scene = Scene::default();
    allowed(&scene.under(&p));
    scene.failed = failed();
    let decision = scene.under(&p);
    // Rules can test absence, so what was verified never suffices.
    assert_eq!(decision.outcome, Outcome::Undetermined);
}
