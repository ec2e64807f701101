use super::der::Elements;
use super::{
    Certificate, CertificateError, ChainError, Stamp, SubjectPattern, TimestampError, Token,
};
use crate::limits;

#[test]
fn subjects_are_read_as_notation_has_them() {
    let same = [
        "C=US, ST=WA, O=acme",
        "x509.subject: C=US, ST=WA, O=acme",
        "O=acme,S=WA,C=US",
        " c = US , st=WA,  2.5.4.10=acme ",
        "C=\\55S, ST=WA, O=acme",
    ];
    let first = SubjectPattern::parse(same[0]).unwrap();
    for text in same {
        assert_eq!(SubjectPattern::parse(text).as_ref(), Ok(&first), "{text}");
    }
    assert_eq!(SubjectPattern::parse(" * "), Ok(SubjectPattern::Any));
    // Written again and read again, it is the same.
    for text in [
        "C=US, ST=WA, O=a\\, b\\; c\\\\d, CN=\\ x\\ ",
        "C=US, ST=WA, O=\\#1 = one, 1.2.3=\\+",
        "C=US, ST=WA, O=\\C3\\A9",
    ] {
        let read = SubjectPattern::parse(text).unwrap();
        let again = SubjectPattern::parse(&read.to_string());
        assert_eq!(again, Ok(read), "{text}");
    }
}

#[test]
fn a_subject_with_another_reading_is_refused() {
    for (text, says) in [
        ("", "no ="),
        ("C=US, ST=WA", "names no O"),
        ("C=US, O=acme", "names no ST"),
        ("C=US, ST=WA, O=acme, C=US", "twice"),
        ("C=US, ST=WA, O=acme, ", "no ="),
        ("C=US, ST=WA, O=", "empty"),
        ("C=US, ST=WA, O=acme+OU=x", "several attributes"),
        ("C=US, ST=WA, O=acme, XX=1", "no attribute of that name"),
        ("C=US, ST=WA, O=a\\", "ends with a backslash"),
        ("C=US, ST=WA, O=a\\z1", "a backslash stands before"),
        ("C=US, ST=WA, O=a;b", "not escaped"),
        ("C=US, ST=WA, O=\\C3", "UTF-8"),
        ("*, C=US", "no ="),
    ] {
        let error = SubjectPattern::parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn what_is_no_certificate_is_refused_by_what_it_is() {
    let long = vec![0x30; limits::CERTIFICATE + 1];
    let text = |name: &str| format!("-----BEGIN {name}-----\nAAAA\n-----END {name}-----\n");
    for (bytes, says) in [
        (b"".to_vec(), "it is empty"),
        (b"\x30\x00".to_vec(), "not an X.509 certificate"),
        (b"\x30\x05\x00".to_vec(), "not an X.509 certificate"),
        (text("CERTIFICATE").into_bytes(), "not an X.509 certificate"),
        (
            text("PUBLIC KEY").into_bytes(),
            "not a PEM file of certificates",
        ),
        (text("PRIVATE KEY").into_bytes(), "holds a private key"),
        (text("EC PRIVATE KEY").into_bytes(), "holds a private key"),
    ] {
        let error = Certificate::all_from(&bytes).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    let error = Certificate::from_der(&long).unwrap_err().to_string();
    assert!(error.contains("the limit is 16384"), "{error}");
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    match body.len() {
        0..=127 => [&[tag, length[1]], &body[..]].concat(),
        128..=255 => [&[tag, 0x81, length[1]], &body[..]].concat(),
        _ => [&[tag, 0x82, length[0], length[1]], &body[..]].concat(),
    }
}

/// A certificate by nobody for somebody with so many attributes in each part.
fn named(parts: &[u8]) -> Vec<u8> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let key = std::fs::read(root.join("testdata/keys/p256.pub.pem")).unwrap();
    let key = crate::crypto::PublicKey::from_pem(&key).unwrap();
    let attribute = |at: u8| tlv(0x30, &[&tlv(6, &[&[0x2a, 3, 4]]), &tlv(4, &[&[at]])]);
    let part = |count: &u8| {
        tlv(
            0x31,
            &[&(0..*count).flat_map(attribute).collect::<Vec<_>>()],
        )
    };
    let name = tlv(0x30, &[&parts.iter().flat_map(part).collect::<Vec<_>>()]);
    let kind = tlv(
        0x30,
        &[&tlv(6, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]])],
    );
    let time = |text: &str| tlv(0x17, &[text.as_bytes()]);
    let times = tlv(0x30, &[&time("260101000000Z"), &time("270101000000Z")]);
    let version = tlv(0xa0, &[&tlv(2, &[&[2]])]);
    let serial = tlv(2, &[&[5]]);
    let signed: [&[u8]; 7] = [
        &version,
        &serial,
        &kind,
        &tlv(0x30, &[]),
        &times,
        &name,
        key.spki_der(),
    ];
    tlv(0x30, &[&tlv(0x30, &signed), &kind, &tlv(3, &[&[0, 1]])])
}

#[test]
fn a_name_of_many_attributes_is_not_read() {
    assert_eq!(limits::NAME_PART, 8);
    let read = |parts: &[u8]| Certificate::from_der(&named(parts)).map(|_| ());
    assert_eq!(read(&[1, 1]), Ok(()));
    assert_eq!(read(&[8; 8]), Ok(()));
    assert_eq!(read(&[1, 9]), Err(CertificateError::Name));
    assert_eq!(read(&[1; 65]), Err(CertificateError::Name));
}

#[test]
fn elements_end_where_their_bytes_do() {
    let read = |bytes: &[u8]| {
        Elements::new(bytes)
            .map(|e| e.map(|e| e.body.to_vec()))
            .collect::<Result<Vec<_>, _>>()
    };
    assert_eq!(read(&[2, 1, 5, 4, 0]).unwrap(), [vec![5], vec![]]);
    assert!(read(&[]).unwrap().is_empty());
    // Cut short, of no definite length, and longer than it need be.
    for bytes in [&[2][..], &[2, 2, 5], &[0x30, 0x80, 0, 0], &[2, 0x81, 1, 5]] {
        assert!(read(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn a_token_over_its_limit_is_not_read() {
    let error = Token::parse(&vec![0x30; limits::TIMESTAMP + 1]).unwrap_err();
    assert!(error.to_string().contains("the limit is"), "{error}");
}

fn testdata(name: &str) -> Vec<u8> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read(root.join("testdata/notation").join(name)).unwrap()
}

/// A token of OpenSSL's over `x`.
fn verify(token: &[u8], message: &[u8], roots: &[Certificate]) -> Result<Stamp, TimestampError> {
    Token::parse(token)?.verify(message, roots)
}

#[test]
fn a_token_of_openssl_says_when_and_by_whom() {
    let token = testdata("token.der");
    let roots = Certificate::all_from(&testdata("tsa.pem")).unwrap();
    let stamp = verify(&token, b"x", &roots).unwrap();
    assert_eq!(stamp.by, "C=US, ST=WA, O=acme, CN=seed");
    assert_eq!(stamp.latest.secs() - stamp.earliest.secs(), 2);
    assert_eq!(stamp.at.secs() - stamp.earliest.secs(), 1);
    let other = verify(&token, b"y", &roots);
    assert_eq!(other, Err(TimestampError::OtherMessage));
    let nobody = verify(&token, b"x", &[]);
    let not_trusted = matches!(
        nobody,
        Err(TimestampError::Signer(ChainError::NotTrusted { .. }))
    );
    assert!(not_trusted, "{nobody:?}");
}

#[test]
fn a_changed_token_says_nothing_else() {
    let token = testdata("token.der");
    let roots = Certificate::all_from(&testdata("tsa.pem")).unwrap();
    let stamp = verify(&token, b"x", &roots).unwrap();
    let mut refused = 0;
    for at in 0..token.len() {
        assert!(verify(&token[..at], b"x", &roots).is_err(), "{at}");
        for bit in [1, 4, 0x80] {
            let mut changed = token.clone();
            changed[at] ^= bit;
            match verify(&changed, b"x", &roots) {
                // A few bytes are signed by nobody, and say nothing here.
                Ok(same) => assert_eq!(same, stamp, "{at}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > token.len() * 2, "{refused}");
}
