//! Blobs, on their way to a registry.

use std::io::{self, Read};

use bytes::Bytes;

use super::address::resolved;
use super::auth::Scope;
use super::host::{Answer, Ask};
use super::{Download, RegistryFault, Repository};
use crate::http::Method;
use crate::limits;
use crate::oci::Descriptor;

/// Sent in one request: what is larger goes piece by piece.
const WHOLE: u64 = 4 << 20;
/// One such piece: what may have to be sent again is kept that long, for each
/// of the blobs that are under way.
const CHUNK: usize = 2 << 20;
/// Larger pieces are not kept in memory, whatever the registry would like.
const LARGEST_CHUNK: usize = 32 << 20;
/// How often a piece is tried again without the registry having gained as much
/// of it as [`GAIN`].
const PATIENCE: u32 = 4;
/// In bytes. An upload that breaks after each byte does not get on.
const GAIN: usize = 64 << 10;
const OCTETS: &str = "application/octet-stream";

/// Where a blob's bytes come from.
pub enum Source<'a> {
    /// They are at hand.
    Bytes(&'a [u8]),
    /// A file, or a layout's blob.
    Reader(&'a mut (dyn Read + Send)),
    /// Another registry.
    Download(Box<Download>),
}

/// Why a blob was not stored.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The registry.
    #[error(transparent)]
    Fault(#[from] RegistryFault),
    /// What was to be sent could not be read.
    #[error("cannot read what is to be sent: {0}")]
    Read(io::Error),
}

/// A source, taken piece by piece.
struct Pieces<'a> {
    source: Source<'a>,
    /// What a piece of a download had beyond what was taken.
    ahead: Bytes,
    /// The memory of the piece before, where nobody has it any more.
    spare: Vec<u8>,
}

impl<'a> Pieces<'a> {
    fn of(source: Source<'a>) -> Self {
        Self {
            source,
            ahead: Bytes::new(),
            spare: Vec::new(),
        }
    }

    /// As many bytes as `most`, or what is left of the `left` that are expected.
    async fn next(&mut self, most: usize, left: u64) -> Result<Bytes, UploadError> {
        let mut piece = std::mem::take(&mut self.spare);
        piece.clear();
        let most_left = usize::try_from(left).unwrap_or(usize::MAX);
        piece.reserve_exact(most.min(most_left));
        match &mut self.source {
            Source::Bytes(bytes) => {
                let (now, later) = bytes.split_at(most.min(bytes.len()));
                piece.extend_from_slice(now);
                *bytes = later;
            }
            Source::Reader(reader) => {
                reader
                    .take(most as u64)
                    .read_to_end(&mut piece)
                    .map_err(UploadError::Read)?;
            }
            Source::Download(download) => {
                let mut more = std::mem::take(&mut self.ahead);
                while piece.len() < most {
                    if more.is_empty() {
                        match download.next().await? {
                            Some(new) => more = new,
                            None => break,
                        }
                    }
                    let now = more.split_to(more.len().min(most - piece.len()));
                    piece.extend_from_slice(&now);
                }
                self.ahead = more;
            }
        }
        Ok(piece.into())
    }

    /// Takes back the memory of a piece that was sent.
    fn sent(&mut self, piece: Bytes) {
        if let Ok(mut piece) = piece.try_into_mut() {
            piece.clear();
            self.spare = piece.into();
        }
    }
}

impl Repository {
    /// Stores a blob, in one request where it is small, else piece by piece,
    /// going on where a connection broke. Where `from` is a repository beside
    /// this one that has it, it is taken from there and not sent; the answer
    /// tells whether it was.
    ///
    /// # Errors
    /// As the registry says, or the source. The registry checks the digest
    /// before anybody sees the blob.
    pub async fn put_blob(
        &self,
        blob: &Descriptor,
        source: Source<'_>,
        from: Option<&Self>,
    ) -> Result<bool, UploadError> {
        let scope = match from {
            Some(from) => self.push().and_pull(&from.name),
            None => self.push(),
        };
        let begun = self.begin(blob, from, &scope).await?;
        let Some((mut location, least)) = begun else {
            return Ok(true);
        };
        let most = match usize::try_from(blob.size) {
            Ok(size) if blob.size <= WHOLE => size.max(1),
            _ => CHUNK.max(least).min(LARGEST_CHUNK),
        };
        let mut pieces = Pieces::of(source);
        let mut piece = pieces.next(most, blob.size).await?;
        let small = piece.len() as u64 == blob.size;
        if !small {
            let mut at = 0_u64;
            while !piece.is_empty() {
                location = self.piece(location, &scope, at, &piece).await?;
                at += piece.len() as u64;
                pieces.sent(piece);
                piece = pieces.next(most, blob.size.saturating_sub(at)).await?;
            }
        } else if !pieces.next(1, 1).await?.is_empty() {
            return Err(UploadError::Read(io::Error::other(
                "there is more of it than its descriptor says",
            )));
        }
        self.end(blob, &location, &scope, piece).await?;
        Ok(false)
    }

    /// Where to send it, and the least that a piece must have; `None` where it
    /// was mounted.
    async fn begin(
        &self,
        blob: &Descriptor,
        from: Option<&Self>,
        scope: &Scope,
    ) -> Result<Option<(String, usize)>, RegistryFault> {
        let plain = self.path("blobs/uploads/");
        let mut url = plain.clone();
        if let Some(from) = from {
            url = format!("{plain}?mount={}&from={}", blob.digest, from.name);
        }
        let post = |url: String| async move {
            let body = Some((OCTETS, Bytes::new()));
            self.host
                .ask(Ask {
                    method: Method::Post,
                    body,
                    ..Ask::get(&url, scope, limits::REGISTRY_WORDS)
                })
                .await
        };
        let mut answer = post(url).await?;
        // One that mounts nothing, or not from there, may say so in any way.
        if from.is_some() && matches!(answer.status(), 400..=499) {
            answer = post(plain).await?;
        }
        match answer.status() {
            201 if from.is_some() => Ok(None),
            202 => {
                let least = answer.header("oci-chunk-min-length");
                let least = least.and_then(|l| l.parse().ok()).unwrap_or_default();
                Ok(Some((location(&answer)?, least)))
            }
            _ => Err(answer.fault()),
        }
    }

    /// Sends one piece, and again as much of it as did not arrive.
    async fn piece(
        &self,
        mut url: String,
        scope: &Scope,
        from: u64,
        piece: &Bytes,
    ) -> Result<String, RegistryFault> {
        let (mut sent, mut tries) = (0, 0);
        loop {
            let rest = piece.slice(sent..);
            let first = from + sent as u64;
            let range = format!("{first}-{}", first + rest.len() as u64 - 1);
            let headers = [("content-range", range)];
            let asked = self
                .host
                .ask(Ask {
                    method: Method::Patch,
                    headers: &headers,
                    body: Some((OCTETS, rest.clone())),
                    repeatable: false,
                    ..Ask::get(&url, scope, limits::REGISTRY_WORDS)
                })
                .await;
            let fault = match asked {
                Ok(answer) => match answer.status() {
                    200..=204 => return location(&answer),
                    408 | 416 | 500.. => answer.fault(),
                    _ => return Err(answer.fault()),
                },
                Err(fault @ RegistryFault::Unreachable { .. }) => fault,
                Err(fault) => return Err(fault),
            };
            tries += 1;
            if tries > PATIENCE {
                return Err(fault);
            }
            let pause = std::time::Duration::from_millis(50 << tries);
            tokio::time::sleep(pause).await;
            let Some((there, next)) = self.arrived(&url, scope).await? else {
                return Err(fault);
            };
            url = next;
            let end = from + piece.len() as u64;
            if there == end {
                return Ok(url);
            }
            if !(from..end).contains(&there) {
                return Err(fault);
            }
            let now = usize::try_from(there - from).unwrap_or_default();
            if now >= sent.saturating_add(GAIN) {
                tries = 0;
            }
            sent = now;
        }
    }

    /// How much of an upload is there, and where to go on; `None` where the
    /// registry does not say.
    async fn arrived(
        &self,
        url: &str,
        scope: &Scope,
    ) -> Result<Option<(u64, String)>, RegistryFault> {
        let answer = self
            .host
            .ask(Ask::get(url, scope, limits::REGISTRY_WORDS))
            .await?;
        if !matches!(answer.status(), 200..=204) {
            return Ok(None);
        }
        let range = answer.header("range").unwrap_or("0-0");
        let last = range.trim_start_matches("bytes=").split('-').nth(1);
        let Some(last) = last.and_then(|last| last.parse::<u64>().ok()) else {
            return Ok(None);
        };
        // `0-0` is what an upload with nothing in it has.
        let there = if last == 0 { 0 } else { last + 1 };
        let next = location(&answer).unwrap_or_else(|_| url.to_owned());
        Ok(Some((there, next)))
    }

    async fn end(
        &self,
        blob: &Descriptor,
        location: &str,
        scope: &Scope,
        rest: Bytes,
    ) -> Result<(), RegistryFault> {
        let mark = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{mark}digest={}", blob.digest);
        let asked = self
            .host
            .ask(Ask {
                method: Method::Put,
                body: Some((OCTETS, rest)),
                repeatable: false,
                ..Ask::get(&url, scope, limits::REGISTRY_WORDS)
            })
            .await;
        let fault = match asked {
            Ok(answer) if matches!(answer.status(), 200..=204) => return Ok(()),
            Ok(answer) => answer.fault(),
            Err(fault) => fault,
        };
        // The answer may have been lost and not the blob.
        let lost = matches!(
            fault,
            RegistryFault::Unreachable { .. }
                | RegistryFault::NotFound { .. }
                | RegistryFault::Malformed { .. }
        );
        if lost && self.has_blob(blob).await? {
            return Ok(());
        }
        Err(fault)
    }
}

pub(super) fn location(answer: &Answer) -> Result<String, RegistryFault> {
    let to = answer.header("location").unwrap_or_default();
    resolved(&answer.url, to)
        .filter(|_| !to.is_empty())
        .map(Into::into)
        .ok_or_else(|| RegistryFault::Malformed {
            asked: answer.asked.clone(),
            why: "it does not say where to send the blob".to_owned(),
        })
}
