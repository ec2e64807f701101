use super::hash::Hash;
use super::note::{Note, NoteError, NoteKey};

/// The head of a log: which log, how many records, and the root over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// The number of records.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            self.root.to_base64()
        )
    }

    /// Reads the text of a checkpoint; extension lines are passed over.
    ///
    /// # Errors
    /// `Checkpoint`, saying what is wrong.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text
            .strip_suffix('\n')
            .ok_or(NoteError::Checkpoint("its last line is cut short"))?
            .split('\n');
        let mut line = |what| {
            lines
                .next()
                .filter(|line| !line.is_empty())
                .ok_or(NoteError::Checkpoint(what))
        };
        let origin = line("it has no origin")?.to_owned();
        let size = line("it has no size")?;
        let size = decimal(size).ok_or(NoteError::Checkpoint("its size is no number"))?;
        let root = Hash::from_base64(line("it has no root")?)
            .ok_or(NoteError::Checkpoint("its root is no SHA-256"))?;
        if lines.any(str::is_empty) {
            return Err(NoteError::Checkpoint("it has an empty line"));
        }
        Ok(Self { origin, size, root })
    }

    /// The checkpoint in a note that `key` signed; the key's name is the
    /// log's origin.
    ///
    /// # Errors
    /// `NoteError`.
    pub fn open(note: &[u8], key: &NoteKey) -> Result<Self, NoteError> {
        let checkpoint = Self::parse(Note::parse(note)?.verified_by(key)?)?;
        if checkpoint.origin != key.name() {
            return Err(NoteError::Origin {
                found: checkpoint.origin.chars().take(256).collect(),
                expected: key.name().to_owned(),
            });
        }
        Ok(checkpoint)
    }
}

/// Digits without a leading zero.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_example() {
        let text =
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::parse(text).unwrap();
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.text(), text);
        let extended = format!("{text}more\n");
        assert_eq!(Checkpoint::parse(&extended), Ok(checkpoint));
    }

    #[test]
    fn what_is_no_checkpoint() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        for bad in [
            "".to_owned(),
            "log\n".to_owned(),
            format!("log\n1\n{root}"),
            format!("\n1\n{root}\n"),
            format!("log\n01\n{root}\n"),
            format!("log\n+1\n{root}\n"),
            format!("log\n-1\n{root}\n"),
            format!("log\n18446744073709551616\n{root}\n"),
            "log\n1\nAAAA\n".to_owned(),
            format!("log\n1\n{root}\n\nmore\n"),
        ] {
            assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
        }
    }
}
