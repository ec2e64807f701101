//! Notation's signatures: by certificates, about a manifest.

use super::check::{ANOTHER, Found, Rejection, Signer, What};
use super::evidence::{NotationSigned, Observed};
use super::facts::{CertificateFact, SignatureFormat, SignerKey};
use super::reason::{Reason, ReasonCode};
use super::signers::UNNAMED;
use crate::crypto::{KeyKind, PublicKey, Scheme, ecdsa_der, sha256};
use crate::digest::Algorithm;
use crate::notation::{Envelope, EnvelopeError, EnvelopeFormat, SigningScheme};
use crate::time::Timestamp;
use crate::trust::{Authority, CertificateTrust};
use crate::x509::{Certificate, Chain, ChainError, Purpose, TimestampError, Token};

const KIND: &str = "signature";
/// How far ahead of the present time a trusted time may be, in nanoseconds.
const SKEW: i64 = 300 * 1_000_000_000;

/// In this order, and the first that fails ends it:
///
/// 1. an envelope of that format, with nothing critical in it that is not
///    understood, and certificates;
/// 2. its algorithm is the one that goes with the first certificate's key, and
///    the signature holds under both;
/// 3. the certificates are a chain for signing code;
/// 4. for one authority at least: a certificate of the chain is one that it
///    trusts, and the signer's subject one that it names;
/// 5. there too: the certificates' signatures lead up to the trusted one, and
///    the policy has not retired the signer's key;
/// 6. there too: where it trusts timestamps, the one beside the signature holds;
///    all certificates were valid at the trusted time, or are at present where
///    there is none;
/// 7. the signature has not ended;
/// 8. the manifest that it is about is the artifact's, with that media type and
///    size.
///
/// Whether certificates were revoked is not looked up, and told.
pub(super) fn check(
    signed: &NotationSigned,
    artifact: &Observed<'_>,
    authorities: &[Authority],
    now: Timestamp,
) -> Result<Vec<Found>, Rejection> {
    let trusting: Vec<_> = authorities
        .iter()
        .filter_map(|authority| Some((authority, authority.certificates.as_ref()?)))
        .collect();
    if trusting.is_empty() {
        return Err(Rejection::new(
            KIND,
            ReasonCode::FormatNotAllowed,
            "a Notation signature, and no authority of the policy is known by certificates",
        )
        .hint("name trusted certificates in the policy, or with --certificate-roots"));
    }
    let envelope = read(signed)?;
    let chain = chain_of(&envelope)?;
    let case = Case {
        envelope: &envelope,
        chain: &chain,
        authorities,
        now,
    };
    let (mut signers, mut nearest) = (Vec::new(), None);
    for (authority, trust) in trusting {
        match case.signer(authority, trust) {
            Ok(signer) => signers.push(signer),
            Err((step, rejection)) => {
                // What came farthest explains most.
                let farther = nearest.as_ref().is_none_or(|(far, _)| step > *far);
                if farther {
                    nearest = Some((step, rejection));
                }
            }
        }
    }
    if signers.is_empty()
        && let Some((_, rejection)) = nearest
    {
        return Err(rejection);
    }
    let label = signers.iter().map(|s: &Signer| s.label.as_str());
    let label = label.collect::<Vec<_>>().join("; ");
    not_ended(&envelope, now).map_err(|rejection| rejection.by_label(&label))?;
    about(&envelope, artifact).map_err(|rejection| rejection.by_label(&label))?;
    let found = signers.into_iter().map(|signer| Found {
        signer,
        what: What::Signature {
            format: SignatureFormat::Notation,
            claims: envelope.target.annotations.clone(),
            uncovered: artifact.never_covered(),
        },
    });
    Ok(found.collect())
}

/// Step 1.
fn read(signed: &NotationSigned) -> Result<Envelope, Rejection> {
    let format = match signed.cose {
        true => EnvelopeFormat::Cose,
        false => EnvelopeFormat::Jws,
    };
    Envelope::parse(&signed.envelope, format).map_err(|error| {
        let (kind, code) = match &error {
            EnvelopeError::Malformed(_) => ("unreadable", ReasonCode::BundleMalformed),
            EnvelopeError::Critical(_) => (KIND, ReasonCode::CriticalHeader),
            EnvelopeError::Algorithm(_) => (KIND, ReasonCode::SchemeMismatch),
            EnvelopeError::Payload(_) => ("unreadable", ReasonCode::PayloadType),
        };
        let rejection = Rejection::new(kind, code, error.to_string());
        match code {
            ReasonCode::CriticalHeader => {
                rejection.hint("verify it with notation and the plugin that it names")
            }
            _ => rejection,
        }
    })
}

/// Steps 2 and 3.
fn chain_of(envelope: &Envelope) -> Result<Chain, Rejection> {
    let certificates = envelope
        .certificates
        .iter()
        .map(|der| Certificate::from_der(der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| {
            Rejection::new("unreadable", ReasonCode::BundleMalformed, error.to_string())
        })?;
    let leaf = &certificates[0];
    let unfit = |why: String| {
        let subject = leaf.subject();
        let detail = format!("certificate {:?}: {why}", subject.to_string());
        Rejection::new(KIND, ReasonCode::SchemeMismatch, detail)
    };
    let key = leaf
        .public_key()
        .map_err(|error| unfit(error.to_string()))?;
    let scheme = scheme_of(key.kind());
    let scheme = scheme.ok_or_else(|| unfit(format!("Notation has no {} keys", key.kind())))?;
    if envelope.algorithm != scheme {
        return Err(unfit(format!(
            "a {} key signs with {scheme}, and the envelope states {}",
            key.kind(),
            envelope.algorithm
        )));
    }
    if !holds(envelope, key, scheme) {
        return Err(Rejection::new(
            KIND,
            ReasonCode::SignatureInvalid,
            format!(
                "the signature is not one of this envelope by {}",
                leaf.subject()
            ),
        ));
    }
    Chain::new(certificates, Purpose::CodeSigning).map_err(|error| of_chain(&error))
}

/// The one algorithm that goes with a key (Notary Project, "Algorithm Selection").
const fn scheme_of(key: KeyKind) -> Option<Scheme> {
    match key {
        KeyKind::Rsa { bits: 2048 } => Some(Scheme::RsaPss(Algorithm::Sha256)),
        KeyKind::Rsa { bits: 3072 } => Some(Scheme::RsaPss(Algorithm::Sha384)),
        KeyKind::Rsa { bits: 4096 } => Some(Scheme::RsaPss(Algorithm::Sha512)),
        KeyKind::EcP256 => Some(Scheme::EcdsaP256Sha256),
        KeyKind::EcP384 => Some(Scheme::EcdsaP384Sha384),
        KeyKind::EcP521 => Some(Scheme::EcdsaP521Sha512),
        KeyKind::Rsa { .. } | KeyKind::Ed25519 => None,
    }
}

fn holds(envelope: &Envelope, key: &PublicKey, scheme: Scheme) -> bool {
    let raw = &envelope.signature;
    // Both envelopes have r and s of ECDSA as long as the curve's order.
    let order = match scheme {
        Scheme::EcdsaP256Sha256 => Some(32),
        Scheme::EcdsaP384Sha384 => Some(48),
        Scheme::EcdsaP521Sha512 => Some(66),
        _ => None,
    };
    let der = match order {
        None => Some(raw.clone()),
        Some(order) if raw.len() == 2 * order => ecdsa_der(raw),
        Some(_) => None,
    };
    der.is_some_and(|der| scheme.verify(key, &envelope.message, &der).is_ok())
}

fn of_chain(error: &ChainError) -> Rejection {
    let code = match error {
        ChainError::NotTrusted { .. } => ReasonCode::CertificateNotTrusted,
        ChainError::Validity { .. } => ReasonCode::CertificateExpired,
        ChainError::Purpose { .. } => ReasonCode::CertificatePurpose,
        ChainError::Length(_)
        | ChainError::Order { .. }
        | ChainError::SelfIssued(_)
        | ChainError::Incomplete { .. }
        | ChainError::Authority { .. }
        | ChainError::Signature { .. } => ReasonCode::CertificateInvalid,
    };
    Rejection::new(KIND, code, error.to_string())
}

/// What one authority is asked about.
struct Case<'a> {
    envelope: &'a Envelope,
    chain: &'a Chain,
    authorities: &'a [Authority],
    now: Timestamp,
}

/// The time at which certificates must have been valid.
struct Window {
    from: Timestamp,
    until: Timestamp,
    /// Where somebody who is trusted says so.
    trusted: Option<(Timestamp, &'static str)>,
    notes: Vec<Reason>,
}

impl Case<'_> {
    /// Steps 4 to 6: by whom it is to that authority; otherwise what failed, at
    /// which point.
    fn signer(
        &self,
        authority: &Authority,
        trust: &CertificateTrust,
    ) -> Result<Signer, (u8, Rejection)> {
        let leaf = self.chain.leaf();
        let subject = leaf.subject().to_string();
        let label = format!("{} ({subject})", authority.name);
        let by = |step: u8| {
            let label = label.clone();
            move |rejection: Rejection| (step, rejection.near(format!("held against {label}")))
        };
        let roots = match self.envelope.scheme {
            SigningScheme::X509 => &trust.roots,
            SigningScheme::SigningAuthority => &trust.signing_authority_roots,
        };
        self.chain.trusted_of(roots).map_err(|error| {
            by(0)(of_chain(&error).hint(
                "trust its root, or sign with a certificate that one of the trusted ones leads to",
            ))
        })?;
        if !trust.subjects.iter().any(|s| s.matches(leaf.subject())) {
            let named: Vec<_> = trust.subjects.iter().map(ToString::to_string).collect();
            let detail = format!(
                "signed by {subject:?}; authority {:?} means {}",
                authority.name,
                named.join(" or ")
            );
            let rejection = Rejection::new(KIND, ReasonCode::KeyNotTrusted, detail);
            return Err(by(1)(
                rejection.hint("name this subject too, if it is to be trusted"),
            ));
        }
        // Before the timestamp, so that a stranger's is never looked at.
        let once = self.chain.valid_from();
        let root = self
            .chain
            .valid_within(once, once)
            .and_then(|()| self.chain.leads_to(roots, once))
            .map_err(|error| by(2)(self.explain(&error, trust)))?;
        let key = self.key(leaf, &subject).map_err(by(3))?;
        let window = self.window(trust).map_err(by(4))?;
        self.chain
            .valid_within(window.from, window.until)
            .map_err(|error| by(5)(self.explain(&error, trust)))?;
        Ok(Signer {
            authorities: vec![authority.name.clone()],
            label,
            key,
            certificate: Some(CertificateFact {
                issuer: leaf.issuer().to_string(),
                thumbprint: leaf.thumbprint(),
                root: root.thumbprint(),
                scheme: self.envelope.scheme.as_str(),
                expires: self.envelope.expiry,
                revocation: "not-checked",
                subject,
            }),
            signed_at: window.trusted,
            notes: window.notes,
        })
    }

    /// Which time counts for that authority.
    fn window(&self, trust: &CertificateTrust) -> Result<Window, Rejection> {
        let mut notes = vec![Reason::new(
            ReasonCode::RevocationNotChecked,
            "whether a certificate of the signer was revoked was not looked up",
        )];
        let (from, until, trusted) = match self.envelope.scheme {
            SigningScheme::SigningAuthority => {
                let at = self.envelope.signed_at;
                (at, at, Some((at, "signing-authority")))
            }
            SigningScheme::X509 => match &self.envelope.timestamp {
                Some(token) if !trust.timestamp_roots.is_empty() => {
                    let stamp = Token::parse(token)
                        .and_then(|token| {
                            token.verify(&self.envelope.signature, &trust.timestamp_roots)
                        })
                        .map_err(|error| of_timestamp(&error))?;
                    // A timestamp proves that the signature was there by then, and
                    // anybody may get a new one for an old signature. That it was
                    // made no earlier is the signer's word alone.
                    let at = stamp.at.min(self.envelope.signed_at);
                    (stamp.earliest, stamp.latest, Some((at, "rfc3161")))
                }
                other => {
                    if other.is_some() {
                        notes.push(Reason::new(
                            ReasonCode::TimeUntrusted,
                            "the timestamp beside the signature was not looked at: no roots of timestamps are trusted",
                        ));
                    }
                    (self.now, self.now, None)
                }
            },
        };
        if until.nanos() > self.now.nanos().saturating_add(SKEW) {
            return Err(Rejection::new(
                KIND,
                ReasonCode::TimeUntrusted,
                format!("it bears the time {until}, which is in the future"),
            ));
        }
        Ok(Window {
            from,
            until,
            trusted,
            notes,
        })
    }

    fn explain(&self, error: &ChainError, trust: &CertificateTrust) -> Rejection {
        let rejection = of_chain(error);
        if !matches!(error, ChainError::Validity { .. }) {
            return rejection;
        }
        let stamped = self.envelope.timestamp.is_some();
        rejection.hint(match (stamped, trust.timestamp_roots.is_empty()) {
            (true, true) => {
                "trust the roots of its timestamp, which can prove that it was made in time"
            }
            (true, false) => "sign it again with a certificate that is valid",
            (false, _) => {
                "sign it again, with a timestamp, which proves later that it was made in time"
            }
        })
    }

    /// How the signer counts: as the key that it is where the policy knows that
    /// too, and otherwise by issuer and subject.
    fn key(&self, leaf: &Certificate, subject: &str) -> Result<SignerKey, Rejection> {
        let print = leaf.public_key().map(PublicKey::fingerprint);
        let print = print.unwrap_or_default();
        let known = self.authorities.iter().flat_map(|a| &a.keys);
        let known: Vec<_> = known
            .filter(|key| key.public_key.fingerprint() == print)
            .collect();
        let usable = known.iter().find(|key| key.state.verifies());
        if let (None, Some(retired)) = (usable, known.first()) {
            return Err(Rejection::new(
                KIND,
                ReasonCode::KeyRevoked,
                format!(
                    "signed by {subject:?} with the key {}, which is retired",
                    retired.path
                ),
            )
            .hint("sign again with a key that the policy has not retired"));
        }
        let (issuer, name) = (leaf.issuer(), leaf.subject());
        let names = sha256(&[issuer.der(), name.der()].concat()).hex();
        // The same text has several encodings.
        let text = sha256(format!("{issuer}\n{name}").as_bytes()).hex();
        Ok(SignerKey {
            id: usable.map_or_else(|| format!("{UNNAMED}{names}"), |key| key.key_id.clone()),
            path: subject.to_owned(),
            version: None,
            state: usable.map_or("active", |key| key.state.as_str()),
            marks: vec![
                format!("key:{}", sha256(&print).hex()),
                format!("names:{text}"),
            ],
        })
    }
}

fn of_timestamp(error: &TimestampError) -> Rejection {
    let (code, hint) = match error {
        TimestampError::OtherMessage => (
            ReasonCode::TimestampMismatch,
            "it belongs to another signature; get this one again from where it was made",
        ),
        TimestampError::Signer(ChainError::NotTrusted { .. }) => (
            ReasonCode::TimestampNotTrusted,
            "trust the root of that authority, if its word on time is to count",
        ),
        TimestampError::Malformed(_) | TimestampError::Signature(_) | TimestampError::Signer(_) => {
            (
                ReasonCode::TimestampInvalid,
                "sign it again, with a timestamp of another authority",
            )
        }
    };
    Rejection::new(KIND, code, error.to_string()).hint(hint)
}

/// Step 7.
fn not_ended(envelope: &Envelope, now: Timestamp) -> Result<(), Rejection> {
    match envelope.expiry {
        Some(expiry) if now >= expiry => Err(Rejection::new(
            KIND,
            ReasonCode::SignatureExpired,
            format!("the signer stood by the signature until {expiry}"),
        )
        .hint("have it signed again")),
        _ => Ok(()),
    }
}

/// Step 8.
fn about(envelope: &Envelope, artifact: &Observed<'_>) -> Result<(), Rejection> {
    let target = &envelope.target;
    let differs = |detail: String| {
        Err(Rejection::new(KIND, ReasonCode::DigestMismatch, detail).hint(ANOTHER))
    };
    if artifact.manifest != Some(target.digest) {
        let is = match &artifact.manifest {
            Some(digest) => format!("the artifact is {digest}"),
            None => "the artifact is no manifest".to_owned(),
        };
        return differs(format!(
            "the signature is about manifest {}, {is}",
            target.digest
        ));
    }
    let Some(described) = &artifact.described else {
        let detail = "it says which media type and size the manifest has, and that was not read";
        return Err(Rejection::new(KIND, ReasonCode::ArtifactUnreadable, detail));
    };
    if target.size != described.size || target.media_type != described.media_type {
        return differs(format!(
            "the signature is about {} bytes of {:?}, the artifact's manifest has {} of {:?}",
            target.size,
            target.media_type.chars().take(128).collect::<String>(),
            described.size,
            described.media_type
        ));
    }
    Ok(())
}
