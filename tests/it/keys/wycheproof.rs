//! Project Wycheproof's vectors: broken signatures, encodings and numbers.

use obreia::crypto::{PublicKey, Scheme};
use obreia::digest::Algorithm;
use wycheproof::TestResult;

/// Counts verdicts, so that an empty set does not pass for a good one.
#[derive(Default)]
struct Tally {
    valid: usize,
    invalid: usize,
}

impl Tally {
    fn check(
        &mut self,
        what: &str,
        scheme: Scheme,
        (key, message, signature): (&[u8], &[u8], &[u8]),
        result: TestResult,
    ) {
        let key = PublicKey::from_spki_der(key).unwrap_or_else(|e| panic!("{what}: {e}"));
        let verdict = scheme.verify(&key, message, signature);
        match result {
            TestResult::Valid => {
                verdict.unwrap_or_else(|e| panic!("{what}: refused: {e}"));
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(verdict.is_err(), "{what}: accepted");
                self.invalid += 1;
            }
            // Either is allowed; it must only not panic.
            TestResult::Acceptable => {}
        }
    }

    fn at_least(&self, valid: usize, invalid: usize) {
        assert!(
            self.valid >= valid && self.invalid >= invalid,
            "only {} valid and {} invalid vectors were tried",
            self.valid,
            self.invalid
        );
    }
}

macro_rules! check_set {
    ($tally:expr, $module:ident, $set:ident, $scheme:expr) => {
        let name = wycheproof::$module::TestName::$set;
        let set = wycheproof::$module::TestSet::load(name).unwrap();
        for group in &set.test_groups {
            for test in &group.tests {
                $tally.check(
                    &format!("{} {}: {}", stringify!($set), test.tc_id, test.comment),
                    $scheme,
                    (&group.der, &test.msg, &test.sig),
                    test.result,
                );
            }
        }
    };
}

#[test]
fn ecdsa() {
    let mut tally = Tally::default();
    check_set!(tally, ecdsa, EcdsaSecp256r1Sha256, Scheme::EcdsaP256Sha256);
    check_set!(tally, ecdsa, EcdsaSecp384r1Sha384, Scheme::EcdsaP384Sha384);
    check_set!(tally, ecdsa, EcdsaSecp521r1Sha512, Scheme::EcdsaP521Sha512);
    tally.at_least(500, 500);
}

#[test]
fn ed25519() {
    let mut tally = Tally::default();
    check_set!(tally, eddsa, Ed25519, Scheme::Ed25519);
    tally.at_least(50, 50);
}

#[test]
fn rsa_pkcs1() {
    let mut tally = Tally::default();
    let (sha256, sha384, sha512) = (Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512);
    check_set!(
        tally,
        rsa_pkcs1_verify,
        Rsa2048Sha256,
        Scheme::RsaPkcs1(sha256)
    );
    check_set!(
        tally,
        rsa_pkcs1_verify,
        Rsa3072Sha256,
        Scheme::RsaPkcs1(sha256)
    );
    check_set!(
        tally,
        rsa_pkcs1_verify,
        Rsa4096Sha256,
        Scheme::RsaPkcs1(sha256)
    );
    check_set!(
        tally,
        rsa_pkcs1_verify,
        Rsa3072Sha384,
        Scheme::RsaPkcs1(sha384)
    );
    check_set!(
        tally,
        rsa_pkcs1_verify,
        Rsa4096Sha512,
        Scheme::RsaPkcs1(sha512)
    );
    tally.at_least(30, 500);
}

#[test]
fn rsa_pss() {
    let mut tally = Tally::default();
    let (sha256, sha384, sha512) = (Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512);
    check_set!(
        tally,
        rsa_pss_verify,
        RsaPss2048Sha256Mgf1SaltLen32,
        Scheme::RsaPss(sha256)
    );
    check_set!(
        tally,
        rsa_pss_verify,
        RsaPss3072Sha256Mgf1SaltLen32,
        Scheme::RsaPss(sha256)
    );
    check_set!(
        tally,
        rsa_pss_verify,
        RsaPss4096Sha384Mgf1SaltLen48,
        Scheme::RsaPss(sha384)
    );
    check_set!(
        tally,
        rsa_pss_verify,
        RsaPss4096Sha512Mgf1SaltLen64,
        Scheme::RsaPss(sha512)
    );
    tally.at_least(100, 100);
}
