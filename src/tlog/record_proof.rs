use super::checkpoint::{Checkpoint, decimal};
use super::hash::Hash;
use super::note::{NoteError, NoteKey};
use super::proof::{ProofError, verify_inclusion};
use super::proof_text;

const MAGIC: &str = "c2sp.org/tlog-proof@v1";

/// The proof that one record stands in a log (`c2sp.org/tlog-proof`): its
/// number, the path to the root, and a signed checkpoint. Stands alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordProof {
    /// The record's number, from 0.
    pub index: u64,
    /// The inclusion proof, the leaf's sibling first.
    pub path: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl RecordProof {
    /// Its text.
    pub fn text(&self) -> String {
        let head = format!("{MAGIC}\nindex {}\n", self.index);
        proof_text::write(&head, &self.path, &self.checkpoint)
    }

    /// Reads its text; what an `extra` line holds is passed over.
    ///
    /// # Errors
    /// `RecordProofError::Form`.
    pub fn parse(text: &str) -> Result<Self, RecordProofError> {
        let (lines, checkpoint) = proof_text::read(text).ok_or(RecordProofError::Form)?;
        let mut lines = lines.peekable();
        if lines.next() != Some(MAGIC) {
            return Err(RecordProofError::Form);
        }
        lines.next_if(|line| line.starts_with("extra "));
        let index = lines
            .next()
            .and_then(|line| decimal(line.strip_prefix("index ")?))
            .ok_or(RecordProofError::Form)?;
        // A tree of 2^64 leaves has no longer path.
        let path = proof_text::path(lines, 64).ok_or(RecordProofError::Form)?;
        Ok(Self {
            index,
            path,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Checks that `entry` is the record that it proves, in the log of `key`.
    ///
    /// # Errors
    /// `RecordProofError`.
    pub fn verify(&self, entry: &[u8], key: &NoteKey) -> Result<Checkpoint, RecordProofError> {
        let checkpoint = Checkpoint::open(self.checkpoint.as_bytes(), key)?;
        verify_inclusion(
            Hash::of_leaf(entry),
            self.index,
            checkpoint.size,
            &self.path,
            &checkpoint.root,
        )?;
        Ok(checkpoint)
    }
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordProofError {
    /// Not a text of that form.
    #[error("it is no {MAGIC}")]
    Form,
    /// Its checkpoint.
    #[error("its checkpoint does not hold: {0}")]
    Checkpoint(#[from] NoteError),
    /// Its path.
    #[error(transparent)]
    Path(#[from] ProofError),
}

#[cfg(all(test, feature = "sign"))]
mod tests {
    use super::*;
    use crate::tlog::{NoteSigner, root_of};

    #[test]
    fn a_record_is_proven_alone_and_no_other() {
        let signer = NoteSigner::generate("example.com/log").unwrap();
        let (one, two) = (Hash::of_leaf(b"one"), Hash::of_leaf(b"two"));
        let checkpoint = Checkpoint {
            origin: "example.com/log".into(),
            size: 2,
            root: root_of(&[one, two]),
        };
        let proof = RecordProof {
            index: 1,
            path: vec![one],
            checkpoint: signer.note(&checkpoint, &signer.sign(&checkpoint).unwrap()),
        };
        let text = proof.text();
        assert_eq!(RecordProof::parse(&text), Ok(proof.clone()));
        let extra = text.replace("index 1", "extra AAAA\nindex 1");
        assert_eq!(RecordProof::parse(&extra), Ok(proof.clone()));
        assert_eq!(proof.verify(b"two", signer.key()), Ok(checkpoint));
        assert_eq!(
            proof.verify(b"one", signer.key()),
            Err(ProofError::Root.into())
        );
        let other = NoteSigner::generate("example.com/log").unwrap();
        assert!(matches!(
            proof.verify(b"two", other.key()),
            Err(RecordProofError::Checkpoint(_))
        ));
        for bad in [
            text.replace("@v1", "@v2"),
            text.replace("index 1", "index 01"),
            text.replace("index 1\n", ""),
            text.replace("index 1\n", "index 1\nAAAA\n"),
            text.replace("index 1\n", &format!("index 1\n{}", "A\n".repeat(70))),
            String::new(),
        ] {
            assert_eq!(
                RecordProof::parse(&bad),
                Err(RecordProofError::Form),
                "{bad}"
            );
        }
    }
}
