//! Blobs, on their way to us.

use std::time::Duration;

use bytes::Bytes;

use super::host::{Answer, Ask, network};
use super::{RegistryFault, Repository};
use crate::crypto::Hasher;
use crate::http::Method;
use crate::limits;
use crate::oci::Descriptor;

/// How long nothing may come.
const IDLE: Duration = Duration::from_secs(30);
/// How often a transfer that breaks goes on, without a byte gained in between.
const PATIENCE: u32 = 4;

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
    begun: bool,
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
            begun: false,
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
    /// `Unreachable` where it breaks again and again; `Malformed` where the
    /// blob is longer, shorter or other than its descriptor says.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RegistryFault> {
        if !self.begun {
            self.ask().await?;
        }
        loop {
            let Some(answer) = &mut self.answer else {
                return Ok(None);
            };
            match answer.incoming.chunk(IDLE).await {
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
                    self.broken = 0;
                    return Ok(Some(chunk));
                }
                Ok(None) if self.read < self.blob.size => {
                    return Err(self.wrong("it is shorter than its descriptor says"));
                }
                Ok(None) => return self.end(),
                // All is here; what else was to come does not matter.
                Err(_) if self.read == self.blob.size => return self.end(),
                Err(error) => {
                    self.broken += 1;
                    if self.broken > PATIENCE {
                        return Err(network(&answer.asked, &error));
                    }
                    tokio::time::sleep(Duration::from_millis(50 << self.broken)).await;
                    self.ask().await?;
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
        let answer = self
            .repository
            .host
            .ask(Ask {
                headers: &headers,
                in_pieces: true,
                ..Ask::get(&url, &scope, limits::REGISTRY_WORDS)
            })
            .await?;
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
        self.begun = true;
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
