//! When a signature was made, by whose word.

use serde_json::json;

use super::{AFTER, Case, DURING, FORMAT, ROOTS, STAMPED};
use crate::cli::{allowed, denied};
use crate::harness::notary::{Draft, For, Party, Stamping, params, unstamped};

#[test]
fn a_timestamp_proves_that_a_certificate_was_valid_when_it_signed() {
    let case = Case::new();
    let stamped = || case.stamp("20260501120000.25Z");
    case.refer(&case.draft().jws(&case.signer, stamped()));
    case.refer(&case.draft().cose(&case.signer, stamped()));
    // Nobody was asked to believe it: then the present counts.
    let said = allowed(&case.trusted(DURING, &[]));
    assert_eq!(
        said["evidence"][0]["reasons"][1]["code"], "time-untrusted",
        "{said}"
    );
    let out = case.trusted(AFTER, &[]);
    let said = denied(&out, "certificate-expired");
    assert!(
        said["reasons"][0]["hint"]
            .as_str()
            .unwrap()
            .contains("timestamp"),
        "{out}"
    );
    allowed(&case.trusted(AFTER, &["--timestamp-roots", "time.pem"]));
    denied(
        &case.trusted(AFTER, &["--timestamp-roots", "other.pem"]),
        "timestamp-not-trusted",
    );
    // By way of an authority that does not say what it issues for.
    let middle = case.time_root.issue(params("time middle", For::Issuing));
    let time = middle.issue(params("time", For::Time));
    let below = |signature: &[u8]| {
        let mut stamping = Stamping::new(&time, "20260501120000.25Z");
        stamping.certificates = vec![&case.time_root, &middle, &time];
        stamping.extension = Some(false);
        Some(stamping.token(signature))
    };
    let other = Case::new();
    other.scratch.write("root.pem", case.root.pem());
    other.scratch.write("time.pem", case.time_root.pem());
    let chain = [&case.signer, &case.middle, &case.root];
    let draft = Draft::about(json!(other.image()), &chain);
    other.refer(&draft.jws(&case.signer, below));
    allowed(&other.trusted(AFTER, &["--timestamp-roots", "time.pem"]));
    // An authority below the root may be the one that is trusted.
    other.scratch.write("time.pem", middle.pem());
    allowed(&other.trusted(AFTER, &["--timestamp-roots", "time.pem"]));
    let all = [
        "--timestamp-roots",
        "other.pem",
        "--timestamp-roots",
        "time.pem",
    ];
    allowed(&case.trusted(AFTER, &all));
    // What a policy sees of it.
    case.scratch.write(
        "r.rego",
        "package obreia\n\nallow if {\n\tevery s in input.signatures {\n\t\ts.format == \"notation\"\n\t\t\
         s.time_source == \"rfc3161\"\n\t\ts.signed_at == \"2026-05-01T00:00:00Z\"\n\t\t\
         s.certificate.subject == \"C=US, ST=WA, O=acme, CN=builder\"\n\t\t\
         s.certificate.issuer == \"C=US, ST=WA, O=acme, CN=middle\"\n\t\t\
         s.certificate.scheme == \"notary.x509\"\n\t\ts.certificate.revocation == \"not-checked\"\n\t}\n\
         \tcount(input.signatures) == 2\n}\n",
    );
    allowed(&case.under(AFTER, STAMPED, &format!("{FORMAT}\nrules: r.rego")));
}

#[test]
fn an_age_counts_from_a_trusted_time() {
    let case = Case::new();
    let aged = "signatures: { formats: [notation], maxAge: 30d }";
    case.refer(
        &case
            .draft()
            .jws(&case.signer, case.stamp("20260501000000Z")),
    );
    allowed(&case.under("2026-05-31T00:00:00Z", STAMPED, aged));
    let said = denied(
        &case.under("2026-05-31T00:00:01Z", STAMPED, aged),
        "too-old",
    );
    let detail = said["reasons"][0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("counted until 2026-05-31T00:00:00Z"),
        "{detail}"
    );
    // A new timestamp does not make an old signature young.
    let renewed = Case::new();
    let again = renewed.stamp("20260701000000Z");
    renewed.refer(&renewed.draft().jws(&renewed.signer, again));
    denied(
        &renewed.under("2026-07-02T00:00:00Z", STAMPED, aged),
        "too-old",
    );
    // Nor does a signer who dates his ahead.
    let ahead = Case::new();
    let draft = ahead
        .draft()
        .with("io.cncf.notary.signingTime", "2026-08-01T00:00:00Z");
    draft_and_refer(&ahead, &draft);
    denied(
        &ahead.under("2026-07-02T00:00:00Z", STAMPED, aged),
        "too-old",
    );
    // Without roots of timestamps no time is trusted, and so no age.
    denied(&case.under(DURING, ROOTS, aged), "time-untrusted");
    let signed = format!("{FORMAT}\ntime: {{ require: signed }}");
    denied(&case.under(DURING, ROOTS, &signed), "time-untrusted");
    allowed(&case.under(DURING, STAMPED, &signed));
    // A time to come is none to trust.
    denied(
        &case.under("2026-04-01T00:00:00Z", STAMPED, FORMAT),
        "time-untrusted",
    );
}

#[test]
fn a_timestamp_that_proves_nothing_is_told_by_its_reason() {
    const AT: &str = "20260501000000Z";
    type Stamp = fn(&Case, &[u8]) -> Vec<u8>;
    let rows: [(&str, &str, Stamp); 13] = [
        (
            "timestamp-invalid",
            "too many certificates",
            |case, signature| {
                let mut stamping = Stamping::new(&case.time, AT);
                stamping.certificates = vec![&case.time; 9];
                stamping.token(signature)
            },
        ),
        ("timestamp-mismatch", "something else", |case, _| {
            Stamping::new(&case.time, AT).token(b"another signature")
        }),
        ("timestamp-not-trusted", "CN=stranger", |_, signature| {
            let root = Party::root("stranger");
            let time = root.issue(params("time", For::Time));
            Stamping::new(&time, AT).token(signature)
        }),
        // By the name of the trusted one.
        ("timestamp-not-trusted", "CN=time root", |_, signature| {
            let time = Party::root("time root").issue(params("time", For::Time));
            Stamping::new(&time, AT).token(signature)
        }),
        (
            "timestamp-invalid",
            "is not for timestamps",
            |case, signature| {
                let time = case.time_root.issue(params("code", For::Code));
                Stamping::new(&time, AT).token(signature)
            },
        ),
        // Before its own certificate.
        ("timestamp-invalid", "valid from", |case, signature| {
            Stamping::new(&case.time, "20250501000000Z").token(signature)
        }),
        (
            "timestamp-invalid",
            "certificate is not there",
            |case, signature| {
                let mut stamping = Stamping::new(&case.time, AT);
                stamping.certificates = vec![&case.time_root];
                stamping.token(signature)
            },
        ),
        (
            "timestamp-invalid",
            "for another certificate",
            |case, signature| {
                let mut stamping = Stamping::new(&case.time, AT);
                stamping.claims = &case.time_root;
                stamping.token(signature)
            },
        ),
        (
            "timestamp-invalid",
            "content was changed",
            |case, signature| {
                change(
                    &Stamping::new(&case.time, AT).token(signature),
                    AT,
                    "20260502000000Z",
                )
            },
        ),
        (
            "timestamp-invalid",
            "its time is none",
            |case, signature| {
                change(
                    &Stamping::new(&case.time, AT).token(signature),
                    AT,
                    "2026050100000+Z",
                )
            },
        ),
        (
            "timestamp-invalid",
            "critical extension",
            |case, signature| {
                let mut stamping = Stamping::new(&case.time, AT);
                stamping.extension = Some(true);
                stamping.token(signature)
            },
        ),
        ("timestamp-invalid", "cannot be read", |_, _| {
            b"no token".to_vec()
        }),
        ("timestamp-invalid", "cannot be read", |case, signature| {
            let mut token = Stamping::new(&case.time, AT).token(signature);
            token.push(0);
            token
        }),
    ];
    for (code, says, make) in rows {
        let case = Case::new();
        let stamp = |signature: &[u8]| Some(make(&case, signature));
        case.refer(&case.draft().jws(&case.signer, stamp));
        // Though the certificates are valid: what is asked for must be right.
        let out = case.trusted(DURING, &["--timestamp-roots", "time.pem"]);
        let said = denied(&out, code);
        let detail = said["reasons"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{says}: {out}");
    }
}

#[test]
fn a_signing_authority_is_trusted_as_such_or_not_at_all() {
    let case = Case::new();
    let draft = case.draft().by_authority("2026-05-01T00:00:00Z");
    case.refer(&draft.jws(&case.signer, unstamped));
    denied(&case.trusted(DURING, &[]), "certificate-not-trusted");
    let certificates = "signingAuthorityRoots: [root.pem], subjects: [\"*\"]";
    // Its word on the time counts, also when its certificates have ended.
    allowed(&case.under(AFTER, certificates, FORMAT));
    let aged = "signatures: { formats: [notation], maxAge: 30d }";
    denied(&case.under(AFTER, certificates, aged), "too-old");
    let early = Case::new();
    let draft = early.draft().by_authority("2025-05-01T00:00:00Z");
    early.refer(&draft.cose(&early.signer, unstamped));
    denied(
        &early.under(DURING, certificates, FORMAT),
        "certificate-expired",
    );
    // And an ordinary signer is none.
    let other = Case::new();
    other.refer(&other.draft().jws(&other.signer, unstamped));
    denied(
        &other.under(DURING, certificates, FORMAT),
        "certificate-not-trusted",
    );
}

fn draft_and_refer(case: &Case, draft: &Draft) {
    case.refer(&draft.jws(&case.signer, case.stamp("20260501000000Z")));
}

#[test]
fn a_stranger_s_timestamp_is_not_looked_at() {
    let case = Case::new();
    // Named as the trusted root names itself, and with that root behind it.
    let signer = Party::root("root").issue(params("builder", For::Code));
    let draft = Draft::about(json!(case.image()), &[&signer, &case.root]);
    case.refer(&draft.jws(&signer, |_| Some(b"no token".to_vec())));
    let roots = ["--timestamp-roots", "time.pem"];
    denied(&case.trusted(DURING, &roots), "certificate-invalid");
}

#[test]
fn a_certificate_that_was_not_signed_for_is_in_no_timestamp_s_way() {
    let case = Case::new();
    // Of the same issuer and serial number, which the harness makes from the length.
    let decoy = case.time_root.issue(params("emit", For::Time));
    let stamp = |signature: &[u8]| {
        let mut stamping = Stamping::new(&case.time, "20260501120000Z");
        stamping.certificates = vec![&decoy, &case.time];
        Some(stamping.token(signature))
    };
    case.refer(&case.draft().jws(&case.signer, stamp));
    allowed(&case.trusted(AFTER, &["--timestamp-roots", "time.pem"]));
}

/// The same bytes with one text for another, in every place.
fn change(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let found: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!found.is_empty());
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}
