//! Manifests and indexes: read by tag or digest, checked, and written.

use std::time::Duration;

use bytes::Bytes;

use super::host::{Answer, Ask};
use super::{Asked, RegistryFault, Repository};
use crate::crypto::{Hasher, sha256};
use crate::digest::Digest;
use crate::http::Method;
use crate::limits;
use crate::oci::{Descriptor, Document, media_type};
use crate::reference::Select;
use crate::source::layout::Resolved;

/// How often a manifest is sent anew to a registry that doubts its digest.
const PATIENCE: u32 = 3;
/// All kinds that are read; what is not among them some registries refuse to give.
const ACCEPT: &[&str] = &[
    media_type::MANIFEST,
    media_type::INDEX,
    media_type::DOCKER_MANIFEST,
    media_type::DOCKER_LIST,
];

/// How a manifest was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Whether the registry lists it among its subject's referrers by itself.
    pub lists_subject: bool,
}

/// A manifest as it came.
pub(super) struct Got {
    pub(super) resolved: Resolved,
    pub(super) etag: Option<String>,
}

impl Repository {
    /// Finds a manifest or index and reads it. A tag is resolved by one
    /// request, and its digest is that of the bytes that came. Without tag and
    /// digest it is `latest`, as every client has it.
    ///
    /// # Errors
    /// `NotFound` where the registry itself says so, `Denied`, `Unreachable`;
    /// `Malformed` where the bytes are not of the digest, `Wrong` where they
    /// are and are no manifest.
    pub async fn resolve(&self, select: &Select) -> Result<Resolved, RegistryFault> {
        let got = match select {
            Select::Digest(digest) => self.get(&digest.to_string(), Some(digest)).await?,
            Select::Tag(tag) => self.get(tag, None).await?,
            Select::Default => self.get("latest", None).await?,
        };
        Ok(got.resolved)
    }

    /// A manifest or index that a descriptor leads to, and its exact bytes.
    ///
    /// # Errors
    /// As [`Repository::resolve`]; `Wrong` where it is of another size or media
    /// type than the descriptor says.
    pub async fn document(&self, at: &Descriptor) -> Result<(Document, Vec<u8>), RegistryFault> {
        let reference = at.digest.to_string();
        let url = self.path(&format!("manifests/{reference}"));
        let asked = Asked::new("GET", &format!("{}{url}", self.host.base));
        let wrong = |why: String| RegistryFault::Wrong {
            asked: asked.clone(),
            why,
        };
        if at.size > limits::MANIFEST {
            return Err(wrong(format!("{} bytes are no manifest", at.size)));
        }
        // No more than was said; what a registry says of it is shorter than that.
        let most = at.size.max(limits::REGISTRY_WORDS);
        let bytes = self.answer(&reference, most).await?.into_body();
        check(&bytes, &at.digest).map_err(|why| RegistryFault::Malformed {
            asked: asked.clone(),
            why,
        })?;
        if bytes.len() as u64 != at.size {
            let (found, said) = (bytes.len(), at.size);
            return Err(wrong(format!(
                "it has {found} bytes, its descriptor says {said}"
            )));
        }
        match Document::parse(&bytes, Some(&at.media_type)) {
            Ok(document) => Ok((document, bytes)),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// What an index lists as being of a kind that is not known, where the
    /// registry keeps it as a manifest; `None` where it has no such manifest.
    ///
    /// # Errors
    /// As [`Repository::document`].
    pub async fn entry(&self, at: &Descriptor) -> Result<Option<Vec<u8>>, RegistryFault> {
        let reference = at.digest.to_string();
        let url = self.path(&format!("manifests/{reference}"));
        if at.size > limits::MANIFEST {
            return Ok(None);
        }
        let scope = self.pull();
        let headers = [("accept", format!("{}, */*", at.media_type))];
        let answer = self
            .host
            .ask(Ask {
                headers: &headers,
                ..Ask::get(&url, &scope, limits::MANIFEST)
            })
            .await?;
        match answer.status() {
            200 => {}
            404 => return Ok(None),
            _ => return Err(answer.fault()),
        }
        let asked = answer.asked.clone();
        let bytes = answer.into_body();
        match check(&bytes, &at.digest) {
            Ok(()) => Ok(Some(bytes)),
            Err(why) => Err(RegistryFault::Malformed { asked, why }),
        }
    }

    /// Whether the manifest is there.
    ///
    /// # Errors
    /// As [`Repository::resolve`].
    pub async fn has_manifest(&self, reference: &str) -> Result<bool, RegistryFault> {
        let url = self.path(&format!("manifests/{reference}"));
        let scope = self.pull();
        let headers = [("accept", ACCEPT.join(", "))];
        let answer = self
            .host
            .ask(Ask {
                method: Method::Head,
                headers: &headers,
                ..Ask::get(&url, &scope, limits::MANIFEST)
            })
            .await?;
        match answer.status() {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(answer.fault()),
        }
    }

    /// Stores a manifest under a tag, or under its digest where none is named.
    ///
    /// # Errors
    /// As the registry says; `Unreachable` also where the answer was lost and
    /// the tag does not lead there.
    pub async fn put_manifest(
        &self,
        tag: Option<&str>,
        descriptor: &Descriptor,
        bytes: &[u8],
    ) -> Result<Put, RegistryFault> {
        let digest = descriptor.digest.to_string();
        let asked = self
            .put(tag.unwrap_or(&digest), &descriptor.media_type, bytes, &[])
            .await;
        let fault = match asked {
            Ok(answer) if matches!(answer.status(), 200..=204) => {
                return Ok(Put {
                    lists_subject: answer.header("oci-subject").is_some(),
                });
            }
            Ok(answer) => answer.fault(),
            Err(fault) => fault,
        };
        // The answer may have been lost and not the write. It is not sent again:
        // somebody may have moved the tag on since.
        if let (Some(tag), RegistryFault::Unreachable { .. }) = (tag, &fault)
            && let Ok(now) = self.get(tag, None).await
            && now.resolved.descriptor.digest == descriptor.digest
        {
            return Ok(Put {
                lists_subject: false,
            });
        }
        Err(fault)
    }

    pub(super) async fn put(
        &self,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
        headers: &[(&str, String)],
    ) -> Result<Answer, RegistryFault> {
        let url = self.path(&format!("manifests/{reference}"));
        let scope = self.push();
        // By its digest it is the very same once more. Of a tag, a second try
        // would undo what others wrote in between; with a condition, it could
        // not tell its own success.
        let repeatable = headers.is_empty() && reference.contains(':');
        let bytes = Bytes::copy_from_slice(bytes);
        let mut tries = 0;
        loop {
            let ask = Ask {
                method: Method::Put,
                url: &url,
                scope: &scope,
                headers,
                body: Some((media_type, bytes.clone())),
                repeatable,
                limit: limits::REGISTRY_WORDS,
                anywhere: false,
                in_pieces: false,
            };
            let answer = self.host.ask(ask).await?;
            // The digest is of these bytes. A registry that keeps files says so
            // where somebody else is writing what the manifest leads to.
            if !(repeatable && answer.says(400, "DIGEST_INVALID") && tries < PATIENCE) {
                return Ok(answer);
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(50 << tries)).await;
        }
    }

    async fn answer(&self, reference: &str, most: u64) -> Result<Answer, RegistryFault> {
        let url = self.path(&format!("manifests/{reference}"));
        let scope = self.pull();
        let headers = [("accept", ACCEPT.join(", "))];
        let answer = self
            .host
            .ask(Ask {
                headers: &headers,
                ..Ask::get(&url, &scope, most)
            })
            .await?;
        match answer.status() {
            200 => Ok(answer),
            _ => Err(answer.fault()),
        }
    }

    pub(super) async fn get(
        &self,
        reference: &str,
        digest: Option<&Digest>,
    ) -> Result<Got, RegistryFault> {
        let answer = self.answer(reference, limits::MANIFEST).await?;
        let asked = answer.asked.clone();
        let malformed = |why: String| RegistryFault::Malformed {
            asked: asked.clone(),
            why,
        };
        let header = |name: &str| answer.header(name).map(str::to_owned);
        let (etag, said) = (header("etag"), header("docker-content-digest"));
        let kind = header("content-type").unwrap_or_default();
        let bytes = answer.into_body();
        let named = digest.is_some();
        let digest = digest.copied().unwrap_or_else(|| sha256(&bytes));
        check(&bytes, &digest).map_err(&malformed)?;
        // Those are the registry's bytes, and nothing that came on the way.
        let whole = named || said.as_deref() == Some(&*digest.to_string());
        // The same in another algorithm is not compared: the bytes were.
        let other = said.filter(|said| {
            let same = said.split(':').next() == Some(digest.algorithm().name());
            same && *said != digest.to_string()
        });
        if other.is_some() {
            let why = "it is told to be of another digest than its bytes have";
            return Err(malformed(why.to_owned()));
        }
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let kind = Some(kind).filter(|k| media_type::is_manifest(k) || media_type::is_index(k));
        let document = Document::parse(&bytes, kind).map_err(|e| {
            let (asked, why) = (asked.clone(), e.to_string());
            match whole && Document::parse(&bytes, None).is_err() {
                true => RegistryFault::Wrong { asked, why },
                false => RegistryFault::Malformed { asked, why },
            }
        })?;
        let mut descriptor = Descriptor::new(document.media_type(), digest, bytes.len() as u64);
        if let Document::Manifest(manifest) = &document {
            descriptor.artifact_type.clone_from(&manifest.artifact_type);
        }
        Ok(Got {
            resolved: Resolved {
                descriptor,
                bytes,
                document,
            },
            etag,
        })
    }
}

fn check(bytes: &[u8], digest: &Digest) -> Result<(), String> {
    let mut hasher = Hasher::new(digest.algorithm());
    hasher.update(bytes);
    let found = hasher.finish();
    if found == *digest {
        return Ok(());
    }
    Err(format!("its bytes hash to {found}, and not to {digest}"))
}
