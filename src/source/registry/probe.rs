//! What a registry can do: asked, one thing at a time, without anybody's data
//! being changed.

use super::host::{Answer, Ask};
use super::upload::location;
use super::{RegistryFault, Repository, address};
use crate::digest::Digest;
use crate::http::Method;
use crate::limits;
use crate::oci::Descriptor;

/// What begins an upload that is never finished.
const WORDS: &[u8] = b"obreia doctor: this upload is never finished";
const OCTETS: &str = "application/octet-stream";

/// How a registry was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Scheme, host and port.
    pub base: String,
    /// Whether what is sent can be read on the way.
    pub overheard: bool,
    /// What let us in: `a token`, `a name and a password`; `None` where nothing
    /// was wanted.
    pub by: Option<&'static str>,
}

/// How a registry lists what is about a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// By itself.
    Itself {
        /// Whether it leaves out what was not asked for.
        filters: bool,
    },
    /// Not at all: clients do, under a tag.
    Fallback,
}

/// What became of pieces of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// Whether a second piece was taken.
    pub taken: bool,
    /// Whether it told how much had arrived, so that an upload can go on.
    pub told: bool,
    /// The least that a piece must have.
    pub least: Option<u64>,
    /// Whether the upload was given up again.
    pub cancelled: bool,
}

impl Repository {
    /// Asks for nothing but an answer, as who may read this repository.
    ///
    /// # Errors
    /// As the registry says; `NotFound` where no registry answers.
    pub async fn reach(&self) -> Result<Reached, RegistryFault> {
        let scope = self.pull();
        let ask = Ask::get("/v2/", &scope, limits::REGISTRY_WORDS);
        let answer = self.host.ask(ask).await?;
        if answer.status() != 200 {
            return Err(answer.fault());
        }
        let plain = self.host.base.starts_with("http://");
        Ok(Reached {
            base: self.host.base.clone(),
            overheard: plain && !address::is_local(&self.host.name),
            by: self.host.entered(),
        })
    }

    /// What the registry says about how often it may be asked, of a manifest
    /// that is there: `name: value`.
    ///
    /// # Errors
    /// As the registry says.
    pub async fn rates(&self, of: &Digest) -> Result<Vec<String>, RegistryFault> {
        let url = self.path(&format!("manifests/{of}"));
        let scope = self.pull();
        let ask = Ask {
            method: Method::Head,
            ..Ask::get(&url, &scope, 0)
        };
        let answer = self.host.ask(ask).await?;
        let headers = answer.incoming.reply.headers();
        Ok(headers
            .filter(|(name, _)| name.contains("ratelimit"))
            .map(|(name, value)| super::fault::bounded(&format!("{name}: {value}"), 128))
            .take(8)
            .collect())
    }

    /// Whether the registry lists what is about a manifest.
    ///
    /// # Errors
    /// As the registry says.
    pub async fn lists(&self, of: &Digest) -> Result<Lists, RegistryFault> {
        let kind = "application%2Fvnd.dev.obreia.none";
        let url = self.path(&format!("referrers/{of}?artifactType={kind}"));
        let scope = self.pull();
        let ask = Ask::get(&url, &scope, limits::MANIFEST);
        let answer = self.host.ask(ask).await?;
        match answer.status() {
            200 => {
                let filters = answer.header("oci-filters-applied").is_some();
                let asked = answer.asked.clone();
                crate::oci::Index::parse(&answer.into_body(), limits::MANIFEST).map_err(
                    |error| RegistryFault::Malformed {
                        asked,
                        why: format!("it is no list of referrers: {error}"),
                    },
                )?;
                Ok(Lists::Itself { filters })
            }
            404 => Ok(Lists::Fallback),
            _ => Err(answer.fault()),
        }
    }

    /// Whether a download that breaks can go on where it was.
    ///
    /// # Errors
    /// As the registry says.
    pub async fn gives_parts(&self, of: &Descriptor) -> Result<bool, RegistryFault> {
        let url = self.path(&format!("blobs/{}", of.digest));
        let scope = self.pull();
        let headers = [("range", "bytes=1-".to_owned())];
        let ask = Ask {
            headers: &headers,
            in_pieces: true,
            ..Ask::get(&url, &scope, limits::REGISTRY_WORDS)
        };
        let answer = self.host.ask(ask).await?;
        match answer.status() {
            206 => Ok(true),
            200 => Ok(false),
            _ => Err(answer.fault()),
        }
    }

    /// Whether a blob of this repository is taken from it and not sent.
    ///
    /// # Errors
    /// As the registry says.
    pub async fn mounts(&self, blob: &Descriptor) -> Result<bool, RegistryFault> {
        let url = self.path("blobs/uploads/");
        let url = format!("{url}?mount={}&from={}", blob.digest, self.name);
        let answer = self.upload(Method::Post, &url, &[], Vec::new()).await?;
        match answer.status() {
            201 => Ok(true),
            202 => {
                self.cancel(&location(&answer)?).await;
                Ok(false)
            }
            _ => Err(answer.fault()),
        }
    }

    /// Begins an upload, sends two pieces, asks what arrived, and gives it up.
    ///
    /// # Errors
    /// As the registry says of beginning one.
    pub async fn takes_pieces(&self) -> Result<Pieces, RegistryFault> {
        let url = self.path("blobs/uploads/");
        let begun = self.upload(Method::Post, &url, &[], Vec::new()).await?;
        if begun.status() != 202 {
            return Err(begun.fault());
        }
        let least = begun.header("oci-chunk-min-length");
        let least: Option<u64> = least.and_then(|least| least.parse().ok());
        let mut at = location(&begun)?;
        let (mut taken, mut sent) = (false, 0);
        // Only the last piece may be short, so where there is a least this is all.
        let pieces = if least.is_some() { 1 } else { 2 };
        for piece in WORDS.chunks(WORDS.len() / 2).take(pieces) {
            let range = format!("{sent}-{}", sent + piece.len() - 1);
            let headers = [("content-range", range)];
            let answer = self
                .upload(Method::Patch, &at, &headers, piece.to_vec())
                .await?;
            taken = matches!(answer.status(), 200..=204);
            if !taken {
                break;
            }
            at = location(&answer)?;
            sent += piece.len();
        }
        let told = taken && self.arrived_at(&at, sent).await;
        Ok(Pieces {
            taken,
            told,
            least,
            cancelled: self.cancel(&at).await,
        })
    }

    async fn arrived_at(&self, url: &str, sent: usize) -> bool {
        let scope = self.push();
        let ask = Ask::get(url, &scope, limits::REGISTRY_WORDS);
        let Ok(answer) = self.host.ask(ask).await else {
            return false;
        };
        let range = answer.header("range").unwrap_or_default();
        let last = range.trim_start_matches("bytes=").split('-').nth(1);
        matches!(answer.status(), 200..=204)
            && last.and_then(|last| last.parse().ok()) == sent.checked_sub(1)
    }

    /// Whether an upload was given up; what was not, the registry drops by itself.
    async fn cancel(&self, url: &str) -> bool {
        let answer = self.upload(Method::Delete, url, &[], Vec::new()).await;
        answer.is_ok_and(|answer| matches!(answer.status(), 200..=204))
    }

    async fn upload(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, String)],
        bytes: Vec<u8>,
    ) -> Result<Answer, RegistryFault> {
        let scope = self.push();
        let ask = Ask {
            method,
            headers,
            body: Some((OCTETS, bytes.into())),
            repeatable: false,
            ..Ask::get(url, &scope, limits::REGISTRY_WORDS)
        };
        self.host.ask(ask).await
    }
}
