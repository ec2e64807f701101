//! One line to the process that holds a module: a socket that carries one
//! call at a time, so that whoever asks reads the answer itself.
//!
//! Between a token's tens of microseconds and an answer lies little else than
//! waking who sleeps, and that takes as long again. So both ends look for a
//! moment (`wire::BRISK`) before they sleep: here between other tasks' turns,
//! and only as long as the module is that quick.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::wire::{self, WireFault};
use crate::limits;
use crate::secret::Secret;

/// Our end of a socket.
#[derive(Debug)]
pub(super) struct Line {
    socket: UnixStream,
    /// What was read of frames that are not taken yet.
    got: Zeroizing<Vec<u8>>,
    /// How many were asked on it; a request's number.
    asked: u64,
}

impl Line {
    /// A line, and its other end.
    pub(super) fn pair() -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let line = Self {
            socket: ours,
            got: Zeroizing::default(),
            asked: 0,
        };
        Ok((line, theirs))
    }

    pub(super) const fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// A number for the next request. An answer with a smaller one is to a
    /// request that nobody waits for any more.
    pub(super) const fn number(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// Writes all of it, in turns with the process where it is much.
    pub(super) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        if write_some(|bytes| (&self.socket).write(bytes), &mut bytes)? {
            return Ok(());
        }
        let socket = self.watched()?;
        loop {
            socket.writable().await?;
            if write_some(|bytes| socket.try_write(bytes), &mut bytes)? {
                return Ok(());
            }
        }
    }

    /// The socket, as the runtime waits for it.
    fn watched(&self) -> io::Result<tokio::net::UnixStream> {
        tokio::net::UnixStream::from_std(self.socket.try_clone()?)
    }

    /// The next frame; `None` where the process is done. `brisk` is whether
    /// the last answers came at once, and is told anew; who is not `alone`
    /// sleeps at once, and leaves the processor to the module.
    pub(super) async fn read<T: DeserializeOwned>(
        &mut self,
        brisk: &AtomicBool,
        alone: bool,
    ) -> Result<Option<(T, Secret)>, WireFault> {
        let begun = Instant::now();
        while alone && brisk.load(Ordering::Relaxed) && begun.elapsed() < wire::BRISK {
            if let Some(next) = read_some(|into| (&self.socket).read(into), &mut self.got)? {
                return Ok(next);
            }
            rustix::thread::sched_yield();
            tokio::task::yield_now().await;
        }
        let next = self.read_patiently().await;
        brisk.store(begun.elapsed() < wire::BRISK * 2, Ordering::Relaxed);
        next
    }

    async fn read_patiently<T: DeserializeOwned>(
        &mut self,
    ) -> Result<Option<(T, Secret)>, WireFault> {
        let socket = self.watched()?;
        loop {
            socket.readable().await?;
            if let Some(next) = read_some(|into| socket.try_read(into), &mut self.got)? {
                return Ok(next);
            }
        }
    }
}

/// Whether all was written.
fn write_some(write: impl Fn(&[u8]) -> io::Result<usize>, bytes: &mut &[u8]) -> io::Result<bool> {
    while !bytes.is_empty() {
        match write(bytes) {
            Ok(written) => *bytes = bytes.get(written..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

/// The next frame as far as it is there: `None` where it is not yet,
/// `Some(None)` where none will be.
fn read_some<T: DeserializeOwned>(
    read: impl Fn(&mut [u8]) -> io::Result<usize>,
    got: &mut Vec<u8>,
) -> Result<Option<Option<(T, Secret)>>, WireFault> {
    let mut bytes = Zeroizing::new([0; 4_096]);
    loop {
        if let Some(next) = wire::take(got, limits::MODULE_REPLY)? {
            return Ok(Some(Some(next)));
        }
        match read(&mut *bytes) {
            Ok(0) => return Ok(Some(None)),
            Ok(read) => got.extend_from_slice(bytes.get(..read).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
}
