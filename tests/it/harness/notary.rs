//! Signers with certificates, envelopes of Notation's and timestamps, made
//! anew in each test.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use coset::cbor::value::Value as Cbor;
use coset::{
    CoseSign1Builder, HeaderBuilder, Label, RegisteredLabelWithPrivate, TaggedCborSerializable,
    iana,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, RsaKeySize, SerialNumber,
    SignatureAlgorithm, date_time_ymd,
};
use serde_json::{Map, Value, json};

/// id-kp-timeStamping alone, as an extended key usage.
const FOR_TIME: &[u8] = &[0x30, 10, 6, 8, 43, 6, 1, 5, 5, 7, 3, 8];

/// A certificate and its key.
pub(crate) struct Party {
    pub(crate) der: Vec<u8>,
    params: CertificateParams,
    key: KeyPair,
}

/// What a certificate is for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum For {
    Issuing,
    Code,
    Time,
    /// What nobody signs code with.
    Servers,
    /// It does not say.
    Nothing,
}

/// `C=US, ST=WA, O=acme, CN=…`, valid throughout 2026.
pub(crate) fn params(name: &str, purpose: For) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    // With the highest bit set, so that its number needs a byte more.
    params.serial_number = Some(SerialNumber::from(vec![0x80 | name.len() as u8, 1, 2]));
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CountryName, "US");
    subject.push(DnType::StateOrProvinceName, "WA");
    subject.push(DnType::OrganizationName, "acme");
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    match purpose {
        For::Issuing => {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        }
        For::Nothing => {}
        _ => params.key_usages = vec![KeyUsagePurpose::DigitalSignature],
    }
    match purpose {
        For::Code => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning],
        For::Servers => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        For::Time => {
            let mut usage = CustomExtension::from_oid_content(&[2, 5, 29, 37], FOR_TIME.to_vec());
            usage.set_criticality(true);
            params.custom_extensions = vec![usage];
        }
        For::Issuing | For::Nothing => {}
    }
    params
}

impl Party {
    /// A root, or another certificate that is its own issuer.
    pub(crate) fn alone(params: CertificateParams) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, params, key }
    }

    pub(crate) fn root(name: &str) -> Self {
        Self::alone(params(name, For::Issuing))
    }

    /// Issues a certificate.
    pub(crate) fn issue(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        self.issue_for(params, key)
    }

    pub(crate) fn issue_for(&self, params: CertificateParams, key: KeyPair) -> Self {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().to_vec();
        Self { der, params, key }
    }

    /// The same certificate's name and key in another certificate of its own.
    pub(crate) fn key_of(algorithm: &'static SignatureAlgorithm) -> KeyPair {
        KeyPair::generate_for(algorithm).unwrap()
    }

    pub(crate) fn rsa(size: RsaKeySize) -> KeyPair {
        KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap()
    }

    pub(crate) fn pem(&self) -> String {
        let text = STANDARD.encode(&self.der);
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let lines = lines.join("\n");
        format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
    }

    /// Another certificate for the same key.
    pub(crate) fn issue_again(&self, params: CertificateParams, holder: &Party) -> Self {
        let key = KeyPair::from_pem(&holder.key_pem()).unwrap();
        self.issue_for(params, key)
    }

    /// Its public key in PEM, with the point compressed.
    pub(crate) fn compressed_pem(&self) -> String {
        let point = self.key.public_key_raw();
        assert_eq!(point.len(), 65);
        let mut bits = vec![0, 2 | point[64] & 1];
        bits.extend(&point[1..33]);
        let kind = [oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")].concat();
        let der = tlv(0x30, &[&tlv(0x30, &[&kind]), &tlv(3, &[&bits])]);
        let text = STANDARD.encode(der);
        let (first, last) = text.split_at(64);
        format!("-----BEGIN PUBLIC KEY-----\n{first}\n{last}\n-----END PUBLIC KEY-----\n")
    }

    /// Its key, in PEM.
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Signs as an envelope that states `algorithm` has it.
    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let pkcs8 = self.key.serialize_der();
        let rng = SystemRandom::new();
        let ecdsa = |with: &'static EcdsaSigningAlgorithm| {
            let pair = EcdsaKeyPair::from_pkcs8(with, &pkcs8).unwrap();
            pair.sign(&rng, message).unwrap().as_ref().to_vec()
        };
        let rsa = |with: &'static dyn RsaEncoding| {
            let pair = RsaKeyPair::from_pkcs8(&pkcs8).unwrap();
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(with, &rng, message, &mut signature).unwrap();
            signature
        };
        match algorithm {
            "ES384" => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            "ES512" => ecdsa(&ECDSA_P521_SHA512_FIXED_SIGNING),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "PS384" => rsa(&RSA_PSS_SHA384),
            "PS512" => rsa(&RSA_PSS_SHA512),
            _ => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
        }
    }
}

/// An envelope before it is signed.
#[derive(Clone)]
pub(crate) struct Draft {
    /// The payload.
    pub(crate) payload: Value,
    /// Signed headers, as JWS has them.
    pub(crate) headers: Map<String, Value>,
    /// With what key it is signed, where that is not what `alg` says.
    pub(crate) signed_with: Option<&'static str>,
    pub(crate) chain: Vec<Vec<u8>>,
}

impl Draft {
    /// About an artifact, made on 1 May 2026.
    pub(crate) fn about(target: Value, chain: &[&Party]) -> Self {
        let headers = json!({
            "alg": "ES256",
            "cty": "application/vnd.cncf.notary.payload.v1+json",
            "crit": ["io.cncf.notary.signingScheme"],
            "io.cncf.notary.signingScheme": "notary.x509",
            "io.cncf.notary.signingTime": "2026-05-01T00:00:00Z",
        });
        Self {
            payload: json!({"targetArtifact": target}),
            headers: headers.as_object().unwrap().clone(),
            signed_with: None,
            chain: chain.iter().map(|party| party.der.clone()).collect(),
        }
    }

    pub(crate) fn with(mut self, header: &str, value: impl Into<Value>) -> Self {
        self.headers.insert(header.to_owned(), value.into());
        self
    }

    pub(crate) fn critical(self, names: &[&str]) -> Self {
        self.with("crit", names.to_vec())
    }

    /// As a signing authority makes it.
    pub(crate) fn by_authority(mut self, at: &str) -> Self {
        self.headers.remove("io.cncf.notary.signingTime");
        self.with(
            "io.cncf.notary.signingScheme",
            "notary.x509.signingAuthority",
        )
        .with("io.cncf.notary.authenticSigningTime", at)
        .critical(&[
            "io.cncf.notary.signingScheme",
            "io.cncf.notary.authenticSigningTime",
        ])
    }

    fn algorithm(&self) -> &str {
        let stated = self.headers.get("alg").and_then(Value::as_str);
        self.signed_with.or(stated).unwrap_or("ES256")
    }

    /// JWS; `stamp` makes a token of the signature.
    pub(crate) fn jws(
        &self,
        signer: &Party,
        stamp: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Vec<u8> {
        let protected = URL_SAFE_NO_PAD.encode(Value::from(self.headers.clone()).to_string());
        let payload = URL_SAFE_NO_PAD.encode(self.payload.to_string());
        let message = format!("{protected}.{payload}");
        let signature = signer.sign(self.algorithm(), message.as_bytes());
        let chain: Vec<_> = self.chain.iter().map(|der| STANDARD.encode(der)).collect();
        let mut header = json!({"x5c": chain, "io.cncf.notary.signingAgent": "tests/1"});
        if let Some(token) = stamp(&signature) {
            header["io.cncf.notary.timestampSignature"] = STANDARD.encode(token).into();
        }
        json!({
            "payload": payload, "protected": protected, "header": header,
            "signature": URL_SAFE_NO_PAD.encode(signature),
        })
        .to_string()
        .into_bytes()
    }

    /// COSE; as [`Draft::jws`].
    pub(crate) fn cose(
        &self,
        signer: &Party,
        stamp: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Vec<u8> {
        let mut protected = HeaderBuilder::new();
        for (name, value) in &self.headers {
            let text = value.as_str().unwrap_or_default();
            protected = match name.as_str() {
                "alg" => protected.algorithm(algorithm(text)),
                "cty" => protected.content_type(text.to_owned()),
                "crit" => value
                    .as_array()
                    .unwrap()
                    .iter()
                    .fold(protected, |header, name| {
                        let name = name.as_str().unwrap().to_owned();
                        header.add_critical_label(RegisteredLabelWithPrivate::Text(name))
                    }),
                time if time.ends_with("Time") || time.ends_with("expiry") => {
                    let at: obreia::time::Timestamp = text.parse().unwrap();
                    let at = Cbor::Tag(1, Box::new(Cbor::Integer(at.secs().into())));
                    protected.text_value(time.to_owned(), at)
                }
                other => protected.text_value(other.to_owned(), Cbor::Text(text.to_owned())),
            };
        }
        let chain = self
            .chain
            .iter()
            .map(|der| Cbor::Bytes(der.clone()))
            .collect();
        let mut signed = CoseSign1Builder::new()
            .protected(protected.build())
            .payload(self.payload.to_string().into_bytes())
            .create_signature(b"", |message| signer.sign(self.algorithm(), message))
            .build();
        let x5chain = Label::Int(iana::HeaderParameter::X5Chain as i64);
        signed.unprotected.rest.push((x5chain, Cbor::Array(chain)));
        if let Some(token) = stamp(&signed.signature) {
            let label = Label::Text("io.cncf.notary.timestampSignature".to_owned());
            signed.unprotected.rest.push((label, Cbor::Bytes(token)));
        }
        signed.to_tagged_vec().unwrap()
    }
}

fn algorithm(name: &str) -> iana::Algorithm {
    match name {
        "ES256" => iana::Algorithm::ES256,
        "ES384" => iana::Algorithm::ES384,
        "ES512" => iana::Algorithm::ES512,
        "PS256" => iana::Algorithm::PS256,
        "PS384" => iana::Algorithm::PS384,
        "PS512" => iana::Algorithm::PS512,
        _ => iana::Algorithm::HMAC_256_256,
    }
}

/// No timestamp.
pub(crate) fn unstamped(_: &[u8]) -> Option<Vec<u8>> {
    None
}

/// One DER element around others.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![tag];
    match body.len() {
        n @ 0..=127 => out.push(n as u8),
        n @ 128..=255 => out.extend([0x81, n as u8]),
        n => out.extend([0x82, (n >> 8) as u8, n as u8]),
    }
    out.extend(body);
    out
}

fn oid(dotted: &str) -> Vec<u8> {
    let oid: der::asn1::ObjectIdentifier = dotted.parse().unwrap();
    tlv(6, &[oid.as_bytes()])
}

/// A timestamp token over a message (RFC 3161), by a P-256 key.
pub(crate) struct Stamping<'a> {
    pub(crate) by: &'a Party,
    /// Certificates in the token.
    pub(crate) certificates: Vec<&'a Party>,
    /// `YYYYMMDDHHMMSS[.f]Z`.
    pub(crate) at: &'a str,
    /// The certificate that is signed for.
    pub(crate) claims: &'a Party,
    /// An extension that nobody knows, and whether it is critical.
    pub(crate) extension: Option<bool>,
}

impl<'a> Stamping<'a> {
    pub(crate) fn new(by: &'a Party, at: &'a str) -> Self {
        Self {
            by,
            certificates: vec![by],
            at,
            claims: by,
            extension: None,
        }
    }

    pub(crate) fn token(&self, message: &[u8]) -> Vec<u8> {
        let sha256 = tlv(0x30, &[&oid("2.16.840.1.101.3.4.2.1")]);
        let hash = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().to_vec();
        let imprint = tlv(0x30, &[&sha256, &tlv(4, &[&hash(message)])]);
        let accuracy = tlv(0x30, &[&tlv(2, &[&[2]]), &tlv(0x80, &[&[100]])]);
        let info = tlv(
            0x30,
            &[
                &tlv(2, &[&[1]]),
                &oid("1.2.3.4"),
                &imprint,
                &tlv(2, &[&[7]]),
                &tlv(0x18, &[self.at.as_bytes()]),
                &accuracy,
                &self.extension.map_or_else(Vec::new, |critical| {
                    let critical = tlv(1, &[&[if critical { 0xff } else { 0 }]]);
                    tlv(
                        0xa1,
                        &[&tlv(0x30, &[&oid("1.2.3.5"), &critical, &tlv(4, &[b"x"])])],
                    )
                }),
            ],
        );
        let kind = oid("1.2.840.113549.1.9.16.1.4");
        let attribute = |name: &str, value: &[u8]| tlv(0x30, &[&oid(name), &tlv(0x31, &[value])]);
        let certificate = tlv(0x30, &[&tlv(4, &[&hash(&self.claims.der)])]);
        let certificate = tlv(0x30, &[&tlv(0x30, &[&certificate])]);
        let mut attributes = [
            attribute("1.2.840.113549.1.9.3", &kind),
            attribute("1.2.840.113549.1.9.4", &tlv(4, &[&hash(&info)])),
            attribute("1.2.840.113549.1.9.16.2.47", &certificate),
        ];
        attributes.sort();
        let attributes = attributes.concat();
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &self.by.key.serialize_der(),
        );
        let signed = tlv(0x31, &[&attributes]);
        let signature = pair.unwrap().sign(&SystemRandom::new(), &signed).unwrap();
        let (issuer, serial) = names(&self.by.der);
        let signer = tlv(
            0x30,
            &[
                &tlv(2, &[&[1]]),
                &tlv(0x30, &[&issuer, &serial]),
                &sha256,
                &tlv(0xa0, &[&attributes]),
                &tlv(0x30, &[&oid("1.2.840.10045.4.3.2")]),
                &tlv(4, &[signature.as_ref()]),
            ],
        );
        let certificates: Vec<&[u8]> = self.certificates.iter().map(|p| &*p.der).collect();
        let content = tlv(0x30, &[&kind, &tlv(0xa0, &[&tlv(4, &[&info])])]);
        let data = tlv(
            0x30,
            &[
                &tlv(2, &[&[3]]),
                &tlv(0x31, &[&sha256]),
                &content,
                &tlv(0xa0, &certificates),
                &tlv(0x31, &[&signer]),
            ],
        );
        tlv(0x30, &[&oid("1.2.840.113549.1.7.2"), &tlv(0xa0, &[&data])])
    }
}

/// Issuer and serial number of a certificate, as they stand in it.
fn names(certificate: &[u8]) -> (Vec<u8>, Vec<u8>) {
    use der::{Decode, Encode};
    let read = x509_cert::Certificate::from_der(certificate).unwrap();
    (
        read.tbs_certificate.issuer.to_der().unwrap(),
        read.tbs_certificate.serial_number.to_der().unwrap(),
    )
}
