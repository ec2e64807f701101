//! Notation's envelopes in both formats, the certificates and the timestamp in
//! them: bytes are refused or read, and what is read is bounded.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use obreia::limits;
use obreia::notation::{Envelope, EnvelopeFormat};
use obreia::x509::{Certificate, Chain, Purpose, Token};

/// What vouches for the token among the seeds, which is over `x`.
static ROOTS: LazyLock<Vec<Certificate>> = LazyLock::new(|| {
    let pem = include_bytes!("../../testdata/notation/tsa.pem");
    Certificate::all_from(pem).unwrap_or_default()
});

fuzz_target!(|data: &[u8]| {
    for format in [EnvelopeFormat::Jws, EnvelopeFormat::Cose] {
        let Ok(envelope) = Envelope::parse(data, format) else {
            continue;
        };
        assert!((1..=limits::CHAIN).contains(&envelope.certificates.len()));
        assert!(!envelope.signature.is_empty());
        let read = envelope
            .certificates
            .iter()
            .map(|der| Certificate::from_der(der));
        if let Ok(certificates) = read.collect::<Result<Vec<_>, _>>() {
            if let Ok(chain) = Chain::new(certificates, Purpose::CodeSigning) {
                let _way = chain.leads_to(&ROOTS, chain.valid_from());
            }
        }
        if let Some(token) = &envelope.timestamp {
            timestamp(token);
        }
    }
    timestamp(data);
    if let Ok(certificates) = Certificate::all_from(data) {
        for certificate in certificates {
            let again = Certificate::all_from(certificate.to_pem().as_bytes());
            assert_eq!(again.as_deref(), Ok(&[certificate][..]));
        }
    }
});

fn timestamp(data: &[u8]) {
    if let Ok(token) = Token::parse(data) {
        assert!(token.verify(b"", &[]).is_err());
        let _held_or_not = token.verify(b"x", &ROOTS);
    }
}
