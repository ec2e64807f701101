//! Notes, checkpoints, proofs and bundles of entries of transparency logs:
//! what is read is written and read again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::tlog::{
    Checkpoint, ConsistencyProof, Note, NoteKey, NoteSigner, RecordProof, put_entry, split_entries,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(entries) = split_entries(data) {
        let mut again = Vec::new();
        for entry in entries {
            put_entry(&mut again, entry).expect("it came from a bundle");
        }
        assert_eq!(again, data);
    }
    if let Ok(note) = Note::parse(data) {
        assert!(data.starts_with(note.unverified().as_bytes()));
        if let Ok(checkpoint) = Checkpoint::parse(note.unverified()) {
            assert_eq!(Checkpoint::parse(&checkpoint.text()), Ok(checkpoint));
        }
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(proof) = RecordProof::parse(text) {
        assert_eq!(RecordProof::parse(&proof.text()), Ok(proof));
    }
    if let Ok(proof) = ConsistencyProof::parse(text) {
        assert_eq!(ConsistencyProof::parse(&proof.text()), Ok(proof));
    }
    if let Ok(key) = text.parse::<NoteKey>() {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    let _refused = NoteSigner::parse(text);
});
