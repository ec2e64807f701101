use std::fs::File;
use std::io::Read;

use crate::keys::KeyFault;
use crate::limits;
use crate::secret::Secret;

/// The bytes of a key file.
pub(super) fn key_file(path: &str) -> Result<Secret, KeyFault> {
    let unreadable = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => bad(path, "there is no such file"),
        _ => KeyFault::Unavailable {
            doing: "read",
            what: path.to_owned(),
            cause: e.to_string(),
        },
    };
    // Asked before opening: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(bad(path, "it is not a regular file"));
    }
    let file = File::open(path).map_err(unreadable)?;
    // Reserved at once: a vector that grows leaves copies of a key behind.
    let mut bytes = Vec::with_capacity(limits::KEY_FILE as usize + 1);
    file.take(limits::KEY_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let secret = Secret::new(bytes);
    if secret.expose().len() as u64 > limits::KEY_FILE {
        return Err(bad(
            path,
            &format!("it is larger than {} bytes", limits::KEY_FILE),
        ));
    }
    Ok(secret)
}

/// The label of the first PEM block, past any `EC PARAMETERS`.
pub(super) fn label(pem: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(pem).ok()?;
    text.lines()
        .filter_map(|line| {
            line.trim_end()
                .strip_prefix("-----BEGIN ")?
                .strip_suffix("-----")
        })
        .find(|label| *label != "EC PARAMETERS")
}

pub(super) fn bad(path: &str, why: &str) -> KeyFault {
    KeyFault::BadFile {
        path: path.to_owned(),
        why: why.to_owned(),
    }
}
