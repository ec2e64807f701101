//! Blobs, on their way to us.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::host::{Answer, Ask, network};
use super::{RegistryFault, Repository};
use crate::crypto::Hasher;
use crate::http::Method;
use crate::limits;
use crate::oci::Descriptor;

/// How long nothing may come.
const IDLE: Duration = Duration::from_secs(30);
/// How often a transfer that breaks goes on, without as much gained in between
/// as [`GAIN`].
const PATIENCE: u32 = 4;
/// In bytes. One that breaks after each byte does not get on.
const GAIN: u64 = 64 << 10;

/// How slowly a blob may come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// For nothing at all.
    pub(super) grace: Duration,
    /// Bytes per second, beyond that.
    pub(super) least: u64,
}

const PACE: Pace = Pace {
    grace: Duration::from_secs(60),
    least: limits::BLOB_PACE,
};

impl Pace {
    /// How long we may have waited for as many bytes as `read`.
    fn allows(&self, read: u64) -> Duration {
        let more = Duration::from_millis(read.saturating_mul(1000) / self.least.max(1));
        self.grace.saturating_add(more)
    }
}

/// A blob that is being read; whoever reads to the end has had its size and
/// digest checked. What came before must not be used until then.
pub struct Download {
    repository: Repository,
    blob: Descriptor,
    answer: Option<Answer>,
    hasher: Option<Hasher>,
    read: u64,
    /// Bytes at the beginning of an answer that are here already.
    skip: u64,
    broken: u32,
    /// What was read when it broke last.
    broke_at: u64,
    pub(super) pace: Pace,
    /// For bytes alone: for our turn, and what becomes of them, it may take time.
    waited: Duration,
    /// How it ended, where that was no good end.
    failed: Option<RegistryFault>,
}

impl Repository {
    /// Whether a blob is there, by its name and its size.
    ///
    /// # Errors
    /// As the registry says; `Malformed` where it is of another size.
    pub async fn has_blob(&self, blob: &Descriptor) -> Result<bool, RegistryFault> {
        let url = self.path(&format!("blobs/{}", blob.digest));
        let scope = self.pull();
        let answer = self
            .host
            .ask(Ask {
                method: Method::Head,
                anywhere: true,
                ..Ask::get(&url, &scope, 0)
            })
            .await?;
        match answer.status() {
            200 => {}
            404 => return Ok(false),
            _ => return Err(answer.fault()),
        }
        let length = answer.header("content-length");
        let length: Option<u64> = length.and_then(|length| length.parse().ok());
        match length {
            Some(length) if length != blob.size => Err(RegistryFault::Malformed {
                why: format!("it has {length} bytes, its descriptor says {}", blob.size),
                asked: answer.asked,
            }),
            _ => Ok(true),
        }
    }

    /// Begins to read a blob.
    ///
    /// # Errors
    /// As the registry says.
    pub async fn open_blob(&self, blob: &Descriptor) -> Result<Download, RegistryFault> {
        let mut download = self.blob_later(blob);
        download.ask().await?;
        Ok(download)
    }

    /// A blob that is asked for when its first byte is wanted.
    pub fn blob_later(&self, blob: &Descriptor) -> Download {
        Download {
            repository: self.clone(),
            blob: blob.clone(),
            answer: None,
            hasher: Some(Hasher::new(blob.digest.algorithm())),
            read: 0,
            skip: 0,
            broken: 0,
            broke_at: 0,
            pace: PACE,
            waited: Duration::ZERO,
            failed: None,
        }
    }

    /// A blob's bytes, checked.
    ///
    /// # Errors
    /// As [`Download::next`]; `TooMuch` over `limit` bytes.
    pub async fn read_blob(&self, blob: &Descriptor, limit: u64) -> Result<Vec<u8>, RegistryFault> {
        if blob.size > limit {
            return Err(RegistryFault::TooMuch {
                place: self.origin(&blob.digest),
                what: "bytes in one blob",
                limit,
            });
        }
        let mut download = self.open_blob(blob).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = download.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

impl Download {
    /// The next piece, of whatever length; `None` at the end, which is when
    /// everything that came has been checked. A connection that breaks is
    /// taken up again where it broke.
    ///
    /// # Errors
    /// `Unreachable` where it breaks again and again, or comes too slowly to
    /// come to an end; `Malformed` where the
    /// blob is longer, shorter or other than its descriptor says, `Wrong` where
    /// the bytes are of the digest and the size is not theirs.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RegistryFault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        let next = self.step().await;
        self.failed = next.as_ref().err().cloned();
        next
    }

    async fn step(&mut self) -> Result<Option<Bytes>, RegistryFault> {
        loop {
            if self.answer.is_none() && self.hasher.is_some() {
                self.ask().await?;
            }
            let left = self.pace.allows(self.read).saturating_sub(self.waited);
            let Some(answer) = &mut self.answer else {
                return Ok(None);
            };
            if left.is_zero() && self.read < self.blob.size {
                return Err(RegistryFault::Unreachable {
                    asked: answer.asked.clone(),
                    cause: format!("it comes too slowly, {} bytes so far", self.read),
                });
            }
            let begun = Instant::now();
            let chunk = answer.incoming.chunk(IDLE.min(left)).await;
            self.waited += begun.elapsed();
            match chunk {
                Ok(Some(mut chunk)) => {
                    let skipped = self.skip.min(chunk.len() as u64);
                    self.skip -= skipped;
                    let skipped = usize::try_from(skipped).unwrap_or(chunk.len());
                    let chunk = chunk.split_off(skipped);
                    if chunk.is_empty() {
                        continue;
                    }
                    self.read += chunk.len() as u64;
                    if self.read > self.blob.size {
                        return Err(self.wrong("it is longer than its descriptor says"));
                    }
                    if let Some(hasher) = &mut self.hasher {
                        hasher.update(&chunk);
                    }
                    return Ok(Some(chunk));
                }
                Ok(None) if self.read < self.blob.size => return Err(self.short()),
                Ok(None) => return self.end(),
                // All is here; what else was to come does not matter.
                Err(_) if self.read == self.blob.size => return self.end(),
                Err(error) => {
                    if self.read - self.broke_at >= GAIN {
                        self.broken = 0;
                    }
                    self.broken += 1;
                    self.broke_at = self.read;
                    if self.broken > PATIENCE {
                        return Err(network(&answer.asked, &error));
                    }
                    // Before the next is asked for, so that it can be.
                    self.answer = None;
                    tokio::time::sleep(Duration::from_millis(50 << self.broken)).await;
                }
            }
        }
    }

    fn end(&mut self) -> Result<Option<Bytes>, RegistryFault> {
        let found = self.hasher.take().map(Hasher::finish);
        let result = match found {
            Some(found) if found != self.blob.digest => {
                Err(self.wrong(&format!("its bytes hash to {found}")))
            }
            _ => Ok(None),
        };
        self.answer = None;
        result
    }

    /// The descriptor lies where these are the digest's bytes; else they were
    /// lost on the way.
    fn short(&mut self) -> RegistryFault {
        let found = self.hasher.take().map(Hasher::finish);
        let why = "it is shorter than its descriptor says";
        match self.wrong(why) {
            RegistryFault::Malformed { asked, why } if found == Some(self.blob.digest) => {
                RegistryFault::Wrong { asked, why }
            }
            fault => fault,
        }
    }

    fn wrong(&self, why: &str) -> RegistryFault {
        let url = self.repository.path(&format!("blobs/{}", self.blob.digest));
        let url = format!("{}{url}", self.repository.host.base);
        RegistryFault::Malformed {
            asked: self
                .answer
                .as_ref()
                .map_or_else(|| super::Asked::new("GET", &url), |a| a.asked.clone()),
            why: why.to_owned(),
        }
    }

    /// Asks for what is not here yet.
    async fn ask(&mut self) -> Result<(), RegistryFault> {
        let url = self.repository.path(&format!("blobs/{}", self.blob.digest));
        let scope = self.repository.pull();
        let mut headers = Vec::new();
        if self.read > 0 {
            headers.push(("range", format!("bytes={}-", self.read)));
        }
        let asked = self.repository.host.ask(Ask {
            headers: &headers,
            anywhere: true,
            in_pieces: true,
            ..Ask::get(&url, &scope, limits::REGISTRY_WORDS)
        });
        let answer = asked.await?;
        self.skip = match answer.status() {
            200 => self.read,
            206 if self.read > 0 && begins_at(&answer, self.read) => 0,
            206 => {
                return Err(RegistryFault::Malformed {
                    asked: answer.asked,
                    why: "it is another part of the blob than the one asked for".to_owned(),
                });
            }
            _ => return Err(answer.fault()),
        };
        self.answer = Some(answer);
        Ok(())
    }
}

/// `Content-Range: bytes 5-9/10`
fn begins_at(answer: &Answer, at: u64) -> bool {
    answer
        .header("content-range")
        .and_then(|range| range.strip_prefix("bytes ")?.split('-').next())
        .and_then(|first| first.parse::<u64>().ok())
        == Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_too_slowly_to_end_is_given_up() {
        let second = Duration::from_secs(1);
        let pace = Pace {
            grace: 60 * second,
            least: 1000,
        };
        assert_eq!(pace.allows(0), 60 * second);
        assert_eq!(pace.allows(1000), 61 * second);
        assert_eq!(pace.allows(3_600_000), 3660 * second);
        // The largest bundle does not take a day, and the largest blob no more
        // than can be said.
        assert!(PACE.allows(limits::BUNDLE) < 3600 * second);
        assert!(PACE.allows(u64::MAX) > 3600 * second);
    }
}
