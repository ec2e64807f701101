//! A missing passphrase, as a person reads it.

use super::{Exit, Failure};
use crate::keys::UnlockError;

impl From<UnlockError> for Failure {
    fn from(why: UnlockError) -> Self {
        Self::new(Exit::Usage, "no usable passphrase")
            .code("no-passphrase")
            .cause(why)
            .hint("set OBREIA_PASSPHRASE, give --passphrase-file FILE, or run on a terminal")
    }
}
