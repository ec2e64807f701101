//! What a provider tells of its key, under the key's canonical name, and what
//! names may be said to it.

use super::{Described, KeyFault, NewKey, Route};
use crate::audit::KeyRecord;
use crate::custody::{KeyInfo, Purpose};

impl Route {
    /// What custody and records see: where a rule led here, the canonical
    /// path and the purpose that it begins with, whatever the provider says.
    // req: P1, N1
    pub(super) fn canonical(&self, info: &KeyInfo) -> KeyInfo {
        let mut info = info.clone();
        if let (Some(path), Some(_)) = (&self.path, &self.by) {
            info.path = format!("kms://{path}");
            info.purpose = Some(Purpose::of_existing(path.purpose()));
        }
        info
    }

    /// The same for what a provider describes.
    pub(super) fn canonical_described(&self, mut described: Described) -> Described {
        if let (Some(path), Some(_)) = (&self.path, &self.by) {
            described.path = format!("kms://{path}");
            described.purpose = Some(Purpose::of_existing(path.purpose()));
        }
        described
    }

    /// The key in a record, under both of its names.
    pub(super) fn record(&self, info: &KeyInfo) -> KeyRecord {
        KeyRecord {
            uri: self.names().map(|(_, uri)| uri),
            ..KeyRecord::from(info)
        }
    }

    /// A key that is to be made.
    pub(super) fn record_of_new(&self) -> KeyRecord {
        let names = self.names();
        KeyRecord {
            id: None,
            path: names
                .as_ref()
                .map_or_else(|| self.asked.to_string(), |(path, _)| path.clone()),
            uri: names.map(|(_, uri)| uri),
            version: None,
        }
    }
}

impl NewKey {
    /// For providers whose keys have one name each.
    ///
    /// # Errors
    /// `Unsupported`.
    pub(super) fn has_one_name(&self, provider: &'static str) -> Result<(), KeyFault> {
        if self.aliases.is_empty() {
            return Ok(());
        }
        Err(KeyFault::Unsupported {
            provider,
            what: "given other names",
        })
    }
}

/// For what concerns `key` as a whole.
///
/// # Errors
/// `BadRequest` where it names a version.
pub(super) fn concerns_the_whole<V>(
    key: &impl std::fmt::Display,
    version: Option<V>,
) -> Result<(), KeyFault> {
    match version {
        None => Ok(()),
        Some(_) => Err(KeyFault::BadRequest {
            key: key.to_string(),
            why: "this concerns the whole key, so it is named without a version".to_owned(),
        }),
    }
}
