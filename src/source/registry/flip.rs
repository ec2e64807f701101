//! Moving a tag, from what it is expected to lead to.

use std::sync::PoisonError;

use super::manifest::Got;
use super::{Cas, RegistryFault, Repository};
use crate::digest::Digest;
use crate::oci::Descriptor;
use crate::source::layout::{Flip, Resolved};

/// An `ETag` that nothing has.
const NEVER: &str = "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"";

/// Which conditions a registry honours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// It replaces nothing that changed.
    pub if_match: bool,
    /// It makes nothing anew that is there.
    pub if_none_match: bool,
}

impl Conditions {
    /// The one under which nobody comes between a look at a tag and the write
    /// to it: of what was found there, the `ETag` that the registry gave.
    pub(super) fn on(self, found: Option<Option<String>>) -> Vec<(&'static str, String)> {
        match found {
            // A weak one never matches (RFC 9110, section 13.1.1).
            Some(Some(etag)) if self.if_match && !etag.starts_with("W/") => {
                vec![("if-match", etag)]
            }
            None if self.if_none_match => vec![("if-none-match", "*".to_owned())],
            _ => Vec::new(),
        }
    }
}

impl Cas {
    /// What writers can rely on where these are honoured.
    pub(super) const fn of(conditions: Conditions) -> Self {
        if conditions.if_match && conditions.if_none_match {
            Self::Exact
        } else {
            Self::BestEffort
        }
    }
}

impl Repository {
    /// What a tag leads to; `None` where it is proven that there is none.
    ///
    /// # Errors
    /// As [`Repository::resolve`], but for `NotFound`.
    pub async fn tagged(&self, tag: &str) -> Result<Option<Digest>, RegistryFault> {
        Ok(self.found(tag).await?.map(|got| digest_of(&got)))
    }

    /// Moves a tag to a manifest that is there, but only from where it is
    /// expected to lead. Where the registry honours conditions, nobody comes in
    /// between; elsewhere the tag is looked at right before and after.
    ///
    /// # Errors
    /// As the registry says.
    pub async fn flip(
        &self,
        tag: &str,
        to: &Resolved,
        expected: Option<&Digest>,
    ) -> Result<(Flip, Cas), RegistryFault> {
        let honoured = self.relied_on(&to.descriptor, &to.bytes).await;
        let known = Cas::of(honoured);
        let got = self.found(tag).await?;
        let found = got.as_ref().map(digest_of);
        if found == Some(to.descriptor.digest) {
            return Ok((Flip::Already, known));
        }
        if found.as_ref() != expected {
            return Ok((Flip::Other(found), known));
        }
        let etag = got.as_ref().map(|got| got.etag.clone());
        let condition = honoured.on(etag);
        let cas = match condition.is_empty() {
            true => Cas::BestEffort,
            false => Cas::Exact,
        };
        let media_type = &to.descriptor.media_type;
        let answer = self.put(tag, media_type, &to.bytes, &condition).await?;
        let flip = match answer.status() {
            200..=204 if cas == Cas::Exact => Flip::Moved,
            // What was written may have been replaced since: looked at again.
            200..=204 => match self.tagged(tag).await? {
                Some(now) if now == to.descriptor.digest => Flip::Moved,
                now => Flip::Other(now),
            },
            412 => Flip::Other(self.tagged(tag).await?),
            _ => return Err(answer.fault()),
        };
        Ok((flip, cas))
    }

    async fn found(&self, tag: &str) -> Result<Option<Got>, RegistryFault> {
        match self.get(tag, None).await {
            Ok(got) => Ok(Some(got)),
            Err(RegistryFault::NotFound { .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// What keeps two writers apart, by which conditions the registry honours.
    pub(super) async fn cas(&self, there: &Descriptor, bytes: &[u8]) -> Cas {
        Cas::of(self.relied_on(there, bytes).await)
    }

    /// Which conditions are relied on: what could not be tried is not.
    pub(super) async fn relied_on(&self, there: &Descriptor, bytes: &[u8]) -> Conditions {
        self.conditions(there, bytes).await.unwrap_or_default()
    }

    /// Which conditions the registry honours, where that was tried.
    pub(super) fn known(&self) -> Option<Conditions> {
        *self.host.cas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which conditions the registry honours, by writes that change nothing
    /// where it does not: of a manifest that is there already. Tried once.
    ///
    /// # Errors
    /// As the registry says of the writes.
    pub async fn conditions(
        &self,
        there: &Descriptor,
        bytes: &[u8],
    ) -> Result<Conditions, RegistryFault> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let if_match = self.refused_under(("if-match", NEVER), there, bytes);
        let if_match = if_match.await?;
        let if_none_match = match if_match {
            true => {
                let tried = self.refused_under(("if-none-match", "*"), there, bytes);
                tried.await?
            }
            false => false,
        };
        let found = Conditions {
            if_match,
            if_none_match,
        };
        *self.host.cas.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(found)
    }

    /// Whether a write under a condition that does not hold is refused for it.
    async fn refused_under(
        &self,
        condition: (&str, &str),
        there: &Descriptor,
        bytes: &[u8],
    ) -> Result<bool, RegistryFault> {
        let digest = there.digest.to_string();
        let condition = [(condition.0, condition.1.to_owned())];
        let answer = self
            .put(&digest, &there.media_type, bytes, &condition)
            .await?;
        match answer.status() {
            412 => Ok(true),
            200..=204 => Ok(false),
            _ => Err(answer.fault()),
        }
    }
}

fn digest_of(got: &Got) -> Digest {
    got.resolved.descriptor.digest
}
