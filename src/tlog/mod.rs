//! Transparency logs as C2SP describes them: Merkle trees of RFC 6962 cut
//! into tiles (`c2sp.org/tlog-tiles`), checkpoints (`c2sp.org/tlog-checkpoint`)
//! signed as notes (`c2sp.org/signed-note`), proofs of records that stand alone
//! (`c2sp.org/tlog-proof`), and of growth (`c2sp.org/tlog-witness`).
//!
//! Bytes in, types out: where the files lie and who writes them is not known
//! here. Only what is signed with Ed25519 (signature type 0x01) is read.

mod checkpoint;
mod consistency_proof;
mod entries;
mod frontier;
mod hash;
mod note;
mod proof;
mod proof_text;
mod record_proof;
#[cfg(feature = "sign")]
mod signer;
mod tile;

pub use checkpoint::Checkpoint;
pub use consistency_proof::{ConsistencyError, ConsistencyProof};
pub use entries::{EntriesError, MAX_ENTRY, put_entry, split_entries};
pub use frontier::{Frontier, FullTile};
pub use hash::{Hash, root_of};
pub use note::{Note, NoteError, NoteKey};
pub use proof::{ProofError, TreeReader, verify_consistency, verify_inclusion};
pub use record_proof::{RecordProof, RecordProofError};
#[cfg(feature = "sign")]
pub use signer::{NoteSigner, SignerError};
pub use tile::{TileId, WIDTH, entries_path};
