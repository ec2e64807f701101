use super::*;

const SPEC: &str = "  match: [{ kind: model, name: \"fraud/**\" }]
  authorities: [{ name: sec, key: kms://model-sign/prod/acme/fraud }]
";

fn document(spec: &str) -> String {
    format!(
        "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: {{ name: p }}\nspec:\n{spec}"
    )
}

#[track_caller]
fn refused(yaml: &str, words: &[&str]) {
    let err = Document::parse("p.yaml", yaml.as_bytes())
        .unwrap_err()
        .to_string();
    assert!(err.starts_with("p.yaml"), "{err}");
    for word in words {
        assert!(err.contains(word), "{word:?} is not in: {err}");
    }
}

#[test]
fn wants_what_it_names() {
    let yaml = document(&format!(
        "{SPEC}  attestations: [{{ type: cyclonedx, from: [sec], rules: sbom.rego }}]\n  rules: last.rego\n"
    ));
    let document = Document::parse("p.yaml", yaml.as_bytes())
        .unwrap()
        .remove(0);
    assert_eq!(
        document.wants(),
        [
            Want::Key("kms://model-sign/prod/acme/fraud".into()),
            Want::Rules("last.rego".into()),
            Want::Rules("sbom.rego".into()),
        ]
    );
    assert!(!document.is_locked());
}

#[test]
fn several_documents_keep_their_lines() {
    let one = document(SPEC);
    let yaml = format!("# head\n---\n{one}\n---\n# nothing\n---\n{one}  tresholds: 1\n");
    let lines = one.lines().count();
    refused(
        &yaml,
        &[
            &format!("p.yaml:{}:", 2 + lines + 4 + lines + 1),
            "tresholds",
        ],
    );
    let yaml = format!("---\n{one}---\n{one}...\n");
    assert_eq!(Document::parse("p.yaml", yaml.as_bytes()).unwrap().len(), 2);
    refused("", &["0 policy documents"]);
    refused("# only\n---\n", &["0 policy documents"]);
}

#[test]
fn slips_are_named_with_their_line() {
    refused(
        &document(&format!("{SPEC}  signature: {{ threshold: 1 }}\n")),
        &[
            "p.yaml:7:",
            "unknown key \"signature\"",
            "did you mean \"signatures\"",
        ],
    );
    refused(
        &document(&format!("{SPEC}  signatures: {{ from: [sek] }}\n")),
        &[
            "p.yaml:7:",
            "spec.signatures.from[0]",
            "did you mean \"sec\"",
        ],
    );
    refused(
        &document(&format!(
            "{SPEC}  attestations: [{{ type: cyclonedx, from: [] }}]\n"
        )),
        &["spec.attestations[0].from", "names no authority"],
    );
    refused(&document(&format!("{SPEC}  mode: wran\n")), &["p.yaml:7:"]);
    refused(
        &document(&format!("{SPEC}  mode: enforce\n  mode: warn\n")),
        &["p.yaml:8:", "mode"],
    );
    refused(
        &document(&format!("{SPEC}  stages: [start]\n")),
        &["p.yaml:7:"],
    );
    refused(
        &document(&format!("{SPEC}  stages: []\n")),
        &["spec.stages"],
    );
    refused(
        &document(&format!("{SPEC}  time: {{ require: sometimes }}\n")),
        &["p.yaml:7:"],
    );
    refused(
        "apiVersion: obreia/v2\nkind: VerificationPolicy\n",
        &["obreia/v2"],
    );
    refused("[1, 2]", &["p.yaml"]);
    refused("a: [", &["p.yaml"]);
    refused("\u{0}", &["p.yaml"]);
}

#[test]
fn what_this_version_does_not_do_is_refused_by_name() {
    let with = |authority: &str| {
        document(&format!(
            "  match: [{{ kind: model }}]\n  authorities: [{{ name: a, {authority} }}]\n"
        ))
    };
    refused(
        &with("identity: { issuer: x, subject: y }"),
        &["spec.authorities[0].identity", "not supported"],
    );
    refused(
        &with("keyset: f"),
        &["spec.authorities[0].keyset", "not supported"],
    );
    refused(&with("key: a.pem, keys: []"), &["exactly one"]);
    refused(&with("keys: []"), &["exactly one"]);
    refused(&with("key: 'kms://A'"), &["spec.authorities[0].key"]);
    refused(&with("keys: [x]"), &["spec.authorities[0].keys[0]", "PEM"]);
    refused(
        &with("keys: ['-----BEGIN PRIVATE KEY-----']"),
        &["holds a private key"],
    );
}

#[test]
fn what_would_never_work_is_refused() {
    let with = |spec: &str| document(&format!("{SPEC}{spec}"));
    refused(&with("  signatures: { threshold: 0 }\n"), &["threshold"]);
    refused(&with("  signatures: { formats: [] }\n"), &["formats"]);
    refused(&with("  signatures: { formats: [pgp] }\n"), &["p.yaml:7:"]);
    refused(
        &with("  attestations: [{ type: sbom, from: [sec] }]\n"),
        &["spec.attestations[0].type"],
    );
    refused(
        &with("  attestations: [{ type: cyclonedx, from: [sec], maxAge: 1y }]\n"),
        &["spec.attestations[0].maxAge"],
    );
    refused(&with("  binding: { from: [sec] }\n"), &["spec.binding"]);
    refused(
        &with("  binding: { from: [sec], resourceUri: 'r/**' }\n"),
        &["spec.binding.verifiers"],
    );
    refused(&with("  ignorePaths: [../x]\n"), &["spec.ignorePaths[0]"]);
    refused(&with("  rules: { rego: x, file: y }\n"), &["spec.rules"]);
    refused(
        &document("  match: []\n  authorities: [{ name: a, key: k }]\n"),
        &["spec.match"],
    );
    refused(
        &document("  match: [{}]\n  authorities: [{ name: a, key: k }]\n"),
        &["spec.match[0]"],
    );
    refused(
        &document("  match: [{ name: 'a**' }]\n  authorities: [{ name: a, key: k }]\n"),
        &["spec.match[0]"],
    );
    refused(
        &document("  match: [{ kind: model }]\n  authorities: []\n"),
        &["spec.authorities"],
    );
    refused(
        &document(
            "  match: [{ kind: model }]\n  authorities: [{ name: a, key: k }, { name: a, key: l }]\n",
        ),
        &["spec.authorities[1].name"],
    );
}

#[test]
fn bombs() {
    let deep = document(&format!(
        "{SPEC}  rules: {}{}\n",
        "[".repeat(200),
        "]".repeat(200)
    ));
    refused(&deep, &["p.yaml"]);
    let anchors = "a: &a [1]\nb: *a\n";
    refused(anchors, &["p.yaml", "anchor"]);
    let merge = "a: 1\n<<: { b: 2 }\n";
    refused(merge, &["p.yaml"]);
    let large = vec![b'#'; usize::try_from(limits::POLICY).unwrap() + 1];
    assert!(matches!(
        Document::parse("p.yaml", &large),
        Err(PolicyError::TooLarge { .. })
    ));
    let many = "---\na: 1\n".repeat(100);
    refused(&many, &["100 policy documents"]);
    assert!(matches!(
        Document::parse("p.yaml", b"\xff\xfe"),
        Err(PolicyError::NotText { .. })
    ));
}
