//! Which trusted keys a signature may be by.

use super::check::Rejection;
use super::reason::ReasonCode;
use crate::trust::{Authority, TrustedKey};

/// A trusted key and every authority that it speaks for.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) key: TrustedKey,
    pub(super) authorities: Vec<String>,
}

impl Candidate {
    pub(super) fn label(&self) -> String {
        let path = match self.key.version {
            Some(version) if !self.key.path.contains("?version=") => {
                format!("{}?version={version}", self.key.path)
            }
            _ => self.key.path.clone(),
        };
        format!("{} ({path})", self.authorities.join(", "))
    }
}

/// The keys that the hint leaves possible.
///
/// A hint in a form that names a key (base64 or hex of 32 bytes) rules out
/// every key that it does not name. Any other text rules out nothing.
pub(super) fn candidates(
    authorities: &[Authority],
    hint: &str,
) -> Result<Vec<Candidate>, Rejection> {
    let mut all: Vec<Candidate> = Vec::new();
    for authority in authorities {
        for key in &authority.keys {
            match all.iter_mut().find(|c| c.key == *key) {
                Some(known) => known.authorities.push(authority.name.clone()),
                None => all.push(Candidate {
                    key: key.clone(),
                    authorities: vec![authority.name.clone()],
                }),
            }
        }
    }
    if names_a_key(hint) {
        let trusted = all
            .iter()
            .map(|c| {
                format!(
                    "{} with hint {}",
                    c.label(),
                    c.key.public_key.sigstore_hint()
                )
            })
            .collect::<Vec<_>>();
        all.retain(|c| c.key.public_key.is_hinted_by(hint));
        if all.is_empty() {
            let mut rejection = Rejection::new(
                "signature",
                ReasonCode::KeyNotTrusted,
                format!("signed by a key with hint {hint}, which is no authority's"),
            )
            .hint("add the key to an authority of the policy, or verify with the key that signed");
            for key in trusted.into_iter().take(8) {
                rejection = rejection.near(format!("trusted: {key}"));
            }
            return Err(rejection);
        }
    }
    if all.is_empty() {
        return Err(nobody());
    }
    Ok(all)
}

/// The first candidate for which `holds`, whose version still verifies.
///
/// A version that does not is tried all the same: that the signature is by a
/// key that was retired is another thing to say than that it is by nobody.
pub(super) fn signer(
    candidates: &[Candidate],
    holds: impl Fn(&Candidate) -> Result<(), Rejection>,
) -> Result<Candidate, Rejection> {
    let (mut retired, mut last) = (None, None);
    for candidate in candidates {
        match holds(candidate) {
            Ok(()) if candidate.key.state.verifies() => return Ok(candidate.clone()),
            Ok(()) => retired = Some(candidate),
            Err(rejection) => last = Some(rejection),
        }
    }
    Err(match retired {
        Some(candidate) => Rejection::new(
            "signature",
            ReasonCode::KeyRevoked,
            format!("signed by {}, which is retired", candidate.label()),
        )
        .hint("sign again with the key's active version"),
        None => last.unwrap_or_else(nobody),
    })
}

/// No authority has a key at all.
pub(super) fn nobody() -> Rejection {
    Rejection::new(
        "signature",
        ReasonCode::KeyNotTrusted,
        "no authority of the policy has a key",
    )
}

fn names_a_key(hint: &str) -> bool {
    let hex = hint.len() == 64 && hint.bytes().all(|b| b.is_ascii_hexdigit());
    let base64 = hint.len() == 44
        && hint.ends_with('=')
        && hint[..43]
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    hex || base64
}
