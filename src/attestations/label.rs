use crate::bundle::{Bundle, Content};
use crate::dsse::IN_TOTO;
use crate::statement::predicate::{names, resolve, same_family};
use crate::statement::{self, Statement, StatementError};

/// What a bundle holds, as far as places that keep it care. Nothing is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// A signature over bytes, or cosign's statement that is one.
    Signature {
        /// Set for cosign's.
        predicate_type: Option<String>,
    },
    /// An OpenSSF model signature.
    ModelSignature,
    /// Another statement.
    Attestation {
        /// What about.
        predicate_type: String,
    },
}

impl Holds {
    pub(super) fn of(bundle: &Bundle) -> Result<Self, StatementError> {
        let Content::Envelope(envelope) = &bundle.content else {
            return Ok(Self::Signature {
                predicate_type: None,
            });
        };
        if envelope.payload_type != IN_TOTO {
            return Ok(Self::Attestation {
                predicate_type: envelope.payload_type.clone(),
            });
        }
        let predicate_type = Statement::parse(&envelope.payload)?.predicate_type;
        Ok(match predicate_type.as_str() {
            statement::MODEL_SIGNATURE => Self::ModelSignature,
            statement::COSIGN_SIGN => Self::Signature {
                predicate_type: Some(predicate_type),
            },
            _ => Self::Attestation { predicate_type },
        })
    }

    pub(super) fn predicate_type(&self) -> Option<&str> {
        match self {
            Self::Signature { predicate_type } => predicate_type.as_deref(),
            Self::ModelSignature => Some(statement::MODEL_SIGNATURE),
            Self::Attestation { predicate_type } => Some(predicate_type),
        }
    }
}

/// The short name under which an attestation is kept beside a file: the name
/// that `--type` knows its predicate type by, or the last two words of the URI.
pub fn label_of(predicate_type: &str) -> String {
    let is_it = |name: &&str| resolve(name).is_ok_and(|t| same_family(t.uri(), predicate_type));
    if let Some(name) = names().find(is_it) {
        return name.to_owned();
    }
    let words: Vec<String> = predicate_type
        .split('/')
        .map(|word| {
            word.chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
                .collect::<String>()
                .trim_matches('-')
                .to_ascii_lowercase()
        })
        .filter(|word| !word.is_empty())
        .collect();
    let label: String = words[words.len().saturating_sub(2)..]
        .join("-")
        .chars()
        .take(48)
        .collect();
    if label.is_empty() {
        "attestation".to_owned()
    } else {
        label
    }
}

/// Whether `label` may stand in a file's name. No dot: `a.bin.sigstore.json`
/// must not be read as evidence about `a`.
pub(super) fn is_label(label: &str) -> bool {
    (1..=64).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
