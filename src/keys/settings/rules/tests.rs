use proptest::prelude::*;

use super::{Rules, with_version};
use crate::reference::{KeyPath, KeyRef};

fn path(text: &str) -> KeyPath {
    KeyPath::parse(text).unwrap()
}

fn uri(rules: &[(&str, &str)], of: &str) -> Option<Result<String, String>> {
    let rules = Rules::of(rules).unwrap();
    let hit = rules.find(&path(of))?;
    Some(hit.key.map(|key| key.to_string()))
}

#[test]
fn targets_of_every_kind() {
    for (matches, to, of, expected) in [
        (
            "model-sign/prod/acme/*",
            "openbao://model-sign--prod--acme--{1}",
            "model-sign/prod/acme/fraud",
            "openbao://model-sign--prod--acme--fraud",
        ),
        (
            "model-sign/**",
            "hashivault://{slug}",
            "model-sign/prod/acme",
            "hashivault://model-sign--prod--acme",
        ),
        (
            "model-sign/prod/**",
            "vault://prod-{1:slug}",
            "model-sign/prod/a/b",
            "vault://prod-a--b",
        ),
        (
            "image-sign/prod",
            "awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "image-sign/prod",
            "awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        ),
        (
            "model-sign/**",
            "awskms:///alias/{path}",
            "model-sign/prod/a",
            "awskms:///alias/model-sign/prod/a",
        ),
        (
            "release-sign/**",
            "pkcs11:token=prod;object={path}",
            "release-sign/prod/cli",
            "pkcs11:token=prod;object=release-sign%2Fprod%2Fcli",
        ),
        (
            "*/dev/*",
            "gcpkms://projects/p/locations/global/keyRings/{1}/cryptoKeys/{2}",
            "sbom-sign/dev/x",
            "gcpkms://projects/p/locations/global/keyRings/sbom-sign/cryptoKeys/x",
        ),
    ] {
        assert_eq!(
            uri(&[(matches, to)], of),
            Some(Ok(expected.to_owned())),
            "{to}"
        );
    }
}

#[test]
fn the_first_rule_that_matches_holds() {
    let rules = [
        ("model-sign/prod/fraud", "openbao://special"),
        ("model-sign/prod/*", "openbao://prod-{1}"),
        ("model-sign/**", "openbao://{slug}"),
    ];
    for (of, expected) in [
        ("model-sign/prod/fraud", Some("openbao://special")),
        ("model-sign/prod/spam", Some("openbao://prod-spam")),
        ("model-sign/dev", Some("openbao://model-sign--dev")),
        ("image-sign/dev", None),
    ] {
        let found = uri(&rules, of).map(Result::unwrap);
        assert_eq!(found.as_deref(), expected, "{of}");
    }
}

#[test]
fn rules_that_are_refused() {
    for (rules, says) in [
        (
            &[("model-sign/a", "kms://model-sign/b")][..],
            "kms:// name itself",
        ),
        (&[("model-sign/a", "/keys/a.pem")], "key file"),
        (&[("model-sign/a", "file:a.pem")], "key file"),
        (&[("model-sign/a", "a.pem")], "key file"),
        (&[("model-sign/a", "")], "is a URI"),
        (&[("model-sign/a", "openbao://a b")], "is a URI"),
        (&[("model-sign/a", "openbao://ä")], "is a URI"),
        (&[("model-sign/a", "OpenBao://a")], "lower case"),
        (&[("model-sign/*", "{1}://a")], "lower case"),
        (&[("model-sign/a", "openbao://{1}")], "no wildcards"),
        (&[("model-sign/*", "openbao://{2}")], "{1} to {1}"),
        (
            &[("model-sign/*", "openbao://{0}")],
            "unknown placeholder {0}",
        ),
        (
            &[("model-sign/*", "openbao://{01}")],
            "unknown placeholder {01}",
        ),
        (
            &[("model-sign/*", "openbao://{name}")],
            "unknown placeholder {name}",
        ),
        (
            &[("model-sign/*", "openbao://{1:upper}")],
            "unknown placeholder",
        ),
        (&[("model-sign/*", "openbao://{1")], "without its `}`"),
        (&[("model-sign/*", "openbao://{1}}")], "without its `{`"),
        (&[("model-sign/*/*", "openbao://{1}")], "leaves out {2}"),
        (&[("model-sign/**", "openbao://{1}")], "write {1:slug}"),
        (&[("model-sign/*", "azurekms://v/{path}")], "write {slug}"),
        (
            &[("model-sign/a", "pkcs11:object=a?pin-value=hunter2")],
            "credential",
        ),
        (
            &[("model-sign/a", "vault://me:hunter2@host/a")],
            "credential",
        ),
        (
            &[
                ("model-sign/a", "openbao://a"),
                ("model-sign/b", "openbao://a"),
            ],
            "same key as rule 1",
        ),
        (
            &[
                ("model-sign/**", "openbao://{slug}"),
                ("model-sign/b/c", "openbao://a"),
            ],
            "never holds: rule 1",
        ),
        (
            &[
                ("model-sign/*", "openbao://{1}"),
                ("model-sign/*", "openbao://x-{1}"),
            ],
            "rule 2: it never holds",
        ),
    ] {
        let refused = Rules::of(rules).unwrap_err();
        assert!(refused.contains(says), "{rules:?}: {refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn paths_that_a_provider_cannot_name() {
    for (to, of) in [
        ("azurekms://v/{slug}", "model-sign/prod/a_b"),
        ("azurekms://v/{slug}", "model-sign/prod/a.b"),
        ("awskms:///alias/{path}", "model-sign/prod/a.b"),
        ("env://{slug}", "model-sign/a"),
        // Would be another path's name as well.
        ("openbao://{slug}", "model-sign/a--b"),
        ("openbao://{1:slug}", "model-sign/a--b/c"),
    ] {
        let found = uri(&[("model-sign/**", to)], of);
        assert!(matches!(found, Some(Err(_))), "{to} {of}: {found:?}");
    }
}

#[test]
fn versions_as_providers_write_them() {
    for (uri, expected) in [
        ("openbao://a", Some("openbao://a?version=3")),
        ("hashivault://a", Some("hashivault://a?version=3")),
        ("vault://a?mount=m", Some("vault://a?mount=m&version=3")),
        ("vault://a?version=2", None),
        (
            "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
            Some("gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/3"),
        ),
        (
            "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
            None,
        ),
        ("awskms:///alias/a", None),
        ("azurekms://v/k", None),
        ("pkcs11:object=a", None),
    ] {
        let key = KeyRef::parse(uri).unwrap();
        let found = with_version(&key, 3).ok().map(|key| key.to_string());
        assert_eq!(found.as_deref(), expected, "{uri}");
    }
}

const TEMPLATES: [&str; 9] = [
    "openbao://{slug}",
    "hashivault://x-{2:slug}-{1}",
    "vault://{1}--{2:slug}?mount=m",
    "awskms:///alias/{path}",
    "gcpkms://projects/p/locations/l/keyRings/{1}/cryptoKeys/{2:slug}",
    "azurekms://v/{slug}",
    "pkcs11:token=t;object={path}",
    "pkcs11:token={1};object={2}",
    "any://{2}/{1}",
];

proptest! {
    /// A path of any shape becomes a URI that its provider can take apart in
    /// one way only, or none.
    #[test]
    fn no_path_makes_an_invalid_uri(
        of in "[a-z0-9][a-z0-9._-]{0,5}(/[a-z0-9][a-z0-9._-]{0,20}){1,7}",
        template in prop::sample::select(&TEMPLATES[..]),
    ) {
        let rules = Rules::of(&[("*/**", template)]).unwrap();
        let path = KeyPath::parse(&of).unwrap();
        let hit = rules.find(&path).unwrap();
        let Ok(key) = hit.key else { return Ok(()) };
        let KeyRef::Provider { scheme, uri } = &key else {
            return Err(TestCaseError::fail("not a provider's key"));
        };
        prop_assert_eq!(scheme.as_str(), template.split(':').next().unwrap());
        prop_assert_eq!(&key, &KeyRef::parse(uri).unwrap());
        prop_assert_eq!(&key.to_string(), uri, "nothing in it looks like a credential");
        prop_assert_eq!(key.version(), None);
        // What separates parts of a URI comes from the template alone.
        for separator in ['?', '#', '@', ';', '&', '=', ':', ' ', '{', '}'] {
            let count = |text: &str| text.matches(separator).count();
            let template = template.replace("{2:slug}", "").replace(['{', '}'], "");
            prop_assert_eq!(count(uri), count(&template), "{} {}", separator, uri);
        }
        let slashes = |text: &str| text.matches('/').count();
        if !matches!(scheme.as_str(), "awskms" | "any") {
            prop_assert_eq!(slashes(uri), slashes(template));
        }
    }

    /// Two paths that a rule sends on are two keys.
    #[test]
    fn two_names_are_two_keys(
        one in "[a-c](/[a-c-]{1,3}){1,4}",
        other in "[a-c](/[a-c-]{1,3}){1,4}",
        template in prop::sample::select(&["openbao://{slug}", "awskms:///alias/{path}", "pkcs11:object={path}"][..]),
    ) {
        let (Ok(one), Ok(other)) = (KeyPath::parse(&one), KeyPath::parse(&other)) else {
            return Ok(());
        };
        let rules = Rules::of(&[("*/**", template)]).unwrap();
        let [first, second] = [&one, &other].map(|path| rules.find(path).unwrap().key);
        if let (Ok(first), Ok(second)) = (first, second) {
            prop_assert_eq!(first == second, one == other);
        }
    }
}
