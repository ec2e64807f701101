//! What the texts of proofs have in common: a first line, hashes, an empty
//! line, and a signed checkpoint.

use super::hash::Hash;

/// The text; `head` ends with a newline.
pub(super) fn write(head: &str, path: &[Hash], checkpoint: &str) -> String {
    let mut text = head.to_owned();
    for hash in path {
        text.push_str(&hash.to_base64());
        text.push('\n');
    }
    text.push('\n');
    text.push_str(checkpoint);
    text
}

/// The lines before the empty one, and the checkpoint.
pub(super) fn read(text: &str) -> Option<(std::str::Split<'_, char>, &str)> {
    let (head, checkpoint) = text.split_once("\n\n")?;
    Some((head.split('\n'), checkpoint))
}

/// The hashes in `lines`, at most `most` of them.
pub(super) fn path<'a>(lines: impl Iterator<Item = &'a str>, most: usize) -> Option<Vec<Hash>> {
    let path = lines
        .take(most + 1)
        .map(Hash::from_base64)
        .collect::<Option<Vec<_>>>()?;
    (path.len() <= most).then_some(path)
}
