use std::path::{Path, PathBuf};

use super::AuditFault;
use super::files::{self, make_folder, write_durable};
use super::journal::{self, frame};
use crate::limits;
use crate::tlog::{Checkpoint, Frontier, NoteKey, NoteSigner, SignerError};

/// Where the parts of one log lie.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The log itself: what may be copied to others.
    pub(super) folder: PathBuf,
    /// The newest checkpoint.
    pub(super) checkpoint: PathBuf,
    /// The records since the last full bundle, and what they follow on.
    pub(super) journal: PathBuf,
    /// The key that signs checkpoints, outside of what is copied.
    pub(super) key: PathBuf,
    /// The newest checkpoint once more: an older copy of the folder alone is
    /// noticed by it.
    pub(super) head: PathBuf,
    /// Where an earlier build kept its log.
    old: PathBuf,
}

impl Place {
    /// In a state folder.
    pub(super) fn in_state(state: &Path) -> Self {
        Self {
            key: state.join("audit.key"),
            head: state.join("audit.head"),
            old: state.join("audit.log"),
            ..Self::of_folder(&folder(state))
        }
    }

    /// Of a log's folder alone, as of a copy: it has neither key nor head.
    pub(super) fn of_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            checkpoint: folder.join("checkpoint"),
            journal: folder.join("journal"),
            key: PathBuf::new(),
            head: PathBuf::new(),
            old: PathBuf::new(),
        }
    }

    /// The key that signs this log.
    pub(super) fn signer(&self) -> Result<NoteSigner, AuditFault> {
        let Some(bytes) = files::read(&self.key, limits::KEY_FILE)? else {
            return Err(self.missing(&self.key));
        };
        let bytes = crate::secret::Secret::new(bytes);
        let bad = |why: String| AuditFault::Key {
            path: self.key.clone(),
            why,
        };
        let text =
            std::str::from_utf8(bytes.expose()).map_err(|_| bad(SignerError::Form.to_string()))?;
        NoteSigner::parse(text.trim_end()).map_err(|e| bad(e.to_string()))
    }

    /// What it means that `path` is not there.
    pub(super) fn missing(&self, path: &Path) -> AuditFault {
        if !self.folder.exists() && self.old.symlink_metadata().is_ok() {
            return AuditFault::OldForm(self.old.clone());
        }
        match self.folder.parent() {
            Some(state) if !self.key.as_os_str().is_empty() && !begun(state) => {
                AuditFault::NotBegun(state.to_owned())
            }
            _ => AuditFault::Missing(path.to_owned()),
        }
    }
}

/// Whether anything lies in a state folder that was made with a log: then a
/// log that is not there is one that was lost.
pub fn begun(state: &Path) -> bool {
    let made = [
        "audit",
        "audit.key",
        "audit.head",
        "audit.log",
        "keystore.db",
    ];
    made.iter()
        .any(|name| state.join(name).symlink_metadata().is_ok())
}

/// The folder of the log of a state folder: what may be copied and verified
/// elsewhere.
pub fn folder(state: &Path) -> PathBuf {
    state.join("audit")
}

/// The public key of the log of a state folder.
///
/// # Errors
/// `AuditFault` where there is none.
pub fn public_key(state: &Path) -> Result<NoteKey, AuditFault> {
    Ok(Place::in_state(state).signer()?.key().clone())
}

/// The newest checkpoint that the state folder keeps beside its log; `None`
/// where it keeps none.
///
/// # Errors
/// `AuditFault` where it is there and not that key's.
pub fn head(state: &Path, key: &NoteKey) -> Result<Option<Checkpoint>, AuditFault> {
    let path = Place::in_state(state).head;
    match files::read(&path, limits::KEY_FILE)? {
        Some(note) if !note.is_empty() => Checkpoint::open(&note, key)
            .map(Some)
            .map_err(|e| super::edge::broken(&path, &e.to_string())),
        _ => Ok(None),
    }
}

/// Makes the log of a new state folder, with a key of its own under `origin`;
/// one that exists is left alone. Durable on return.
///
/// # Errors
/// `AuditFault` where it cannot be made; `OldForm` where an earlier build's
/// log is in the way, `Missing` where the key is there and its log is not.
pub fn create(state: &Path, origin: &str) -> Result<(), AuditFault> {
    let place = Place::in_state(state);
    if place.journal.symlink_metadata().is_ok() {
        return Ok(());
    }
    if place.old.symlink_metadata().is_ok() {
        return Err(AuditFault::OldForm(place.old));
    }
    if place.key.symlink_metadata().is_ok() {
        // There was a log, and it is gone: a new one must not take its place.
        return Err(AuditFault::Missing(place.journal));
    }
    let failed = |e: SignerError| AuditFault::Key {
        path: place.key.clone(),
        why: e.to_string(),
    };
    let signer = NoteSigner::generate(origin).map_err(failed)?;
    let empty = Frontier::new();
    let checkpoint = Checkpoint {
        origin: origin.to_owned(),
        size: 0,
        root: empty.root(),
    };
    let signature = signer.sign(&checkpoint).map_err(failed)?;
    let note = signer.note(&checkpoint, &signature);
    write_durable(
        state,
        &place.key,
        signer.to_text().map_err(failed)?.expose(),
    )?;
    write_durable(state, &place.head, note.as_bytes())?;
    make_folder(&place.folder)?;
    write_durable(state, &place.checkpoint, note.as_bytes())?;
    // Last: a log with a journal is whole.
    let journal = [journal::header(&empty), frame(&[], &signature)].concat();
    write_durable(state, &place.journal, &journal)?;
    crate::durable::sync_folder(state).map_err(|e| AuditFault::Io {
        path: state.to_owned(),
        doing: "made durable",
        kind: std::io::ErrorKind::Other,
        cause: e.to_string(),
    })
}
