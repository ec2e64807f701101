use super::checkpoint::{Checkpoint, decimal};
use super::hash::Hash;
use super::note::{NoteError, NoteKey};
use super::proof::{ProofError, verify_consistency};
use super::proof_text;

/// Most hashes of a proof, as `c2sp.org/tlog-witness` bounds them.
const LONGEST: usize = 63;

/// The proof that a log has grown from an earlier checkpoint and changed
/// nothing of what that covers. Its text is what `c2sp.org/tlog-witness` has
/// logs send to witnesses: the earlier size, the path, the newer checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The earlier checkpoint's size, in records.
    pub old: u64,
    /// The consistency proof (RFC 6962, section 2.1.2).
    pub path: Vec<Hash>,
    /// The newer signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl ConsistencyProof {
    /// Its text.
    pub fn text(&self) -> String {
        let head = format!("old {}\n", self.old);
        proof_text::write(&head, &self.path, &self.checkpoint)
    }

    /// Reads its text.
    ///
    /// # Errors
    /// `ConsistencyError::Form`.
    pub fn parse(text: &str) -> Result<Self, ConsistencyError> {
        let (mut lines, checkpoint) = proof_text::read(text).ok_or(ConsistencyError::Form)?;
        let old = lines
            .next()
            .and_then(|line| decimal(line.strip_prefix("old ")?))
            .ok_or(ConsistencyError::Form)?;
        let path = proof_text::path(lines, LONGEST).ok_or(ConsistencyError::Form)?;
        Ok(Self {
            old,
            path,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Checks that the log of `key` has grown from `earlier`, a checkpoint
    /// whose signature was checked; returns the newer one.
    ///
    /// # Errors
    /// `ConsistencyError`.
    pub fn verify(
        &self,
        earlier: &Checkpoint,
        key: &NoteKey,
    ) -> Result<Checkpoint, ConsistencyError> {
        let newer = Checkpoint::open(self.checkpoint.as_bytes(), key)?;
        if earlier.size != self.old {
            return Err(ConsistencyError::Earlier {
                proven: self.old,
                given: earlier.size,
            });
        }
        verify_consistency(
            (self.old, &earlier.root),
            (newer.size, &newer.root),
            &self.path,
        )?;
        Ok(newer)
    }
}

/// Why a proof of growth proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsistencyError {
    /// Not a text of that form.
    #[error("it is no consistency proof as c2sp.org/tlog-witness writes them")]
    Form,
    /// Its checkpoint.
    #[error("its checkpoint does not hold: {0}")]
    Checkpoint(#[from] NoteError),
    /// It is about another earlier checkpoint.
    #[error("it proves growth from {proven} records, and the earlier checkpoint has {given}")]
    Earlier {
        /// The size in the proof.
        proven: u64,
        /// The size of the checkpoint at hand.
        given: u64,
    },
    /// Its path.
    #[error(transparent)]
    Path(#[from] ProofError),
}

#[cfg(all(test, feature = "sign"))]
mod tests {
    use super::*;
    use crate::tlog::{NoteSigner, root_of};

    #[test]
    fn growth_is_proven_from_its_own_past_alone() {
        let signer = NoteSigner::generate("example.com/log").unwrap();
        let leaves: Vec<Hash> = [&b"one"[..], b"two", b"three"].map(Hash::of_leaf).to_vec();
        let checkpoint = |size: usize| Checkpoint {
            origin: "example.com/log".into(),
            size: size as u64,
            root: root_of(&leaves[..size]),
        };
        let newer = checkpoint(3);
        let proof = ConsistencyProof {
            old: 2,
            path: vec![leaves[2]],
            checkpoint: signer.note(&newer, &signer.sign(&newer).unwrap()),
        };
        let text = proof.text();
        assert!(text.starts_with("old 2\n"));
        assert_eq!(ConsistencyProof::parse(&text), Ok(proof.clone()));
        let key = signer.key();
        assert_eq!(proof.verify(&checkpoint(2), key), Ok(newer));
        assert_eq!(
            proof.verify(&checkpoint(1), key),
            Err(ConsistencyError::Earlier {
                proven: 2,
                given: 1
            })
        );
        let rewritten = Checkpoint {
            root: leaves[0],
            ..checkpoint(2)
        };
        assert_eq!(proof.verify(&rewritten, key), Err(ProofError::Root.into()));
        let other = NoteSigner::generate("example.com/log").unwrap();
        assert!(matches!(
            proof.verify(&checkpoint(2), other.key()),
            Err(ConsistencyError::Checkpoint(_))
        ));
        for bad in [
            text.replace("old 2", "old 02"),
            text.replace("old 2\n", ""),
            text.replace("old 2\n", "old 2\nAAAA\n"),
            text.replace("old 2\n", &format!("old 2\n{}", "A\n".repeat(70))),
            text.replace("\n\n", "\n"),
            String::new(),
        ] {
            assert_eq!(
                ConsistencyProof::parse(&bad),
                Err(ConsistencyError::Form),
                "{bad}"
            );
        }
    }
}
