use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use super::{AuditFault, AuditSink, Event, Receipt};
use crate::canon;
use crate::crypto::sha256;
use crate::digest::Digest;

/// The longest line: what [`Event`]'s bounded fields can come to, and room.
const LINE: u64 = 128 << 10;
/// How long to wait for another process's append.
const PATIENCE: Duration = Duration::from_secs(5);

/// A log in one file of JSON lines, each naming the digest of the one before.
///
/// Cutting off the end is not seen by the chain alone; the keystore's
/// generation in the records and copies of the log are what tells that.
struct FileSink {
    path: PathBuf,
}

/// What a walk over a whole log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The number of records.
    pub records: u64,
    /// The digest of the last line; `None` for an empty log.
    pub head: Option<Digest>,
}

struct Tail {
    /// The last whole line.
    last: Option<Vec<u8>>,
    /// Where whole lines end; what follows was never acknowledged.
    end: u64,
    /// The file's length.
    len: u64,
}

struct Position {
    seq: u64,
    prev: Option<Digest>,
    generation: Option<u64>,
}

/// Makes the log of a new state folder; one that exists is left alone.
///
/// # Errors
/// `AuditFault` where the file cannot be made.
pub fn create(path: &Path) -> Result<(), AuditFault> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(file) => file.sync_all().map_err(|e| failed(path, "written", &e)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(failed(path, "made", &e)),
    }
}

/// The log at `path`, which must exist: one that vanished is not begun anew.
pub fn open(path: &Path) -> Box<dyn AuditSink> {
    Box::new(FileSink {
        path: path.to_owned(),
    })
}

impl FileSink {
    fn open(&self) -> Result<File, AuditFault> {
        // Opened anew for each event: a log that was moved away or replaced
        // is noticed at once, and not written to behind everybody's back.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
            .open(&self.path)
            .map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => AuditFault::Missing(self.path.clone()),
                _ if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                    AuditFault::NotAFile(self.path.clone())
                }
                _ => failed(&self.path, "opened", &e),
            })?;
        let meta = file
            .metadata()
            .map_err(|e| failed(&self.path, "read", &e))?;
        if meta.is_file() {
            Ok(file)
        } else {
            Err(AuditFault::NotAFile(self.path.clone()))
        }
    }

    async fn locked(&self) -> Result<File, AuditFault> {
        let started = Instant::now();
        loop {
            let file = self.open()?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // Whoever held the lock may have replaced the file meanwhile.
                Ok(()) if self.is_current(&file) => return Ok(file),
                Ok(()) | Err(rustix::io::Errno::AGAIN) => {}
                Err(e) => return Err(failed(&self.path, "locked", &e.into())),
            }
            if started.elapsed() > PATIENCE {
                return Err(AuditFault::Busy(self.path.clone()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn is_current(&self, file: &File) -> bool {
        match (file.metadata(), std::fs::symlink_metadata(&self.path)) {
            (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
            _ => false,
        }
    }

    fn position(&self, file: &mut File) -> Result<(Tail, Position), AuditFault> {
        let tail = tail(file).map_err(|e| failed(&self.path, "read", &e))?;
        let position = match &tail.last {
            None if tail.end > 0 => return Err(self.broken("the last line is too long")),
            None => Position {
                seq: 0,
                prev: None,
                generation: None,
            },
            Some(line) => {
                let record = canon::parse(line, LINE)
                    .map_err(|_| self.broken("the last line is not a record"))?;
                let seq = record["seq"]
                    .as_u64()
                    .ok_or_else(|| self.broken("the last line has no number"))?;
                Position {
                    seq,
                    prev: Some(sha256(line)),
                    generation: record["newest_generation"].as_u64(),
                }
            }
        };
        Ok((tail, position))
    }

    fn write(&self, file: &mut File, event: &Event) -> Result<Receipt, AuditFault> {
        let (tail, position) = self.position(file)?;
        let mut record = event.fields();
        record.insert("v".into(), json!(1));
        let seq = position.seq.saturating_add(1);
        record.insert("seq".into(), json!(seq));
        record.insert("prev".into(), json!(position.prev));
        // Carried forward so that the last line alone tells it.
        record.insert(
            "newest_generation".into(),
            json!(position.generation.max(event.generation)),
        );
        if tail.len > tail.end {
            // A writer was killed in the middle of a line. Nobody was told
            // that it is durable, so it may go; that it was there is recorded.
            record.insert("cut_off".into(), json!(tail.len - tail.end));
            file.set_len(tail.end)
                .map_err(|e| failed(&self.path, "written", &e))?;
        }
        let mut line = canon::canonical(&Value::Object(record));
        let digest = sha256(&line);
        line.push(b'\n');
        let written = file
            .seek(SeekFrom::Start(tail.end))
            .and_then(|_| file.write_all(&line))
            .and_then(|()| file.sync_data());
        if let Err(e) = written {
            // So that the next writer finds whole lines; if even this fails,
            // it finds an unfinished one and cuts it off.
            let _best_effort = file.set_len(tail.end);
            return Err(failed(&self.path, "written", &e));
        }
        Ok(Receipt { seq, digest })
    }

    fn broken(&self, why: &str) -> AuditFault {
        AuditFault::Broken {
            path: self.path.clone(),
            line: 0,
            why: why.to_owned(),
        }
    }
}

impl AuditSink for FileSink {
    fn append<'a>(
        &'a self,
        event: &'a Event,
    ) -> Pin<Box<dyn Future<Output = Result<Receipt, AuditFault>> + Send + 'a>> {
        Box::pin(async move {
            // The lock goes with the file's handle, also when we are killed.
            let mut file = self.locked().await?;
            self.write(&mut file, event)
        })
    }

    fn generation(&self) -> Result<Option<u64>, AuditFault> {
        let mut file = self.open()?;
        // Read without the lock: a line half written has no newline yet.
        let (_, position) = self.position(&mut file)?;
        Ok(position.generation)
    }
}

fn tail(file: &mut File) -> io::Result<Tail> {
    let len = file.seek(SeekFrom::End(0))?;
    let from = len.saturating_sub(2 * LINE);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(len - from).read_to_end(&mut bytes)?;
    let Some(newline) = bytes.iter().rposition(|b| *b == b'\n') else {
        // Not zero when more lies before: that is no log, and not to be cut off.
        return Ok(Tail {
            last: None,
            end: from,
            len,
        });
    };
    let end = from + newline as u64 + 1;
    let start = match bytes[..newline].iter().rposition(|b| *b == b'\n') {
        Some(before) => Some(before + 1),
        None if from == 0 => Some(0),
        None => None,
    };
    Ok(Tail {
        last: start.map(|start| bytes[start..newline].to_vec()),
        end,
        len,
    })
}

fn failed(path: &Path, doing: &'static str, cause: &io::Error) -> AuditFault {
    AuditFault::Io {
        path: path.to_owned(),
        doing,
        cause: cause.to_string(),
    }
}

/// Walks over a whole log's bytes: every line is a record, numbered without a
/// gap, and names the digest of the line before it.
///
/// # Errors
/// `Broken` naming the first line that is not so; `path` is for the message.
pub fn check_chain(path: &Path, bytes: &[u8]) -> Result<Chain, AuditFault> {
    let broken = |line, why: &str| AuditFault::Broken {
        path: path.to_owned(),
        line,
        why: why.to_owned(),
    };
    let mut chain = Chain {
        records: 0,
        head: None,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let number = chain.records + 1;
        let end = rest
            .iter()
            .position(|b| *b == b'\n')
            .ok_or_else(|| broken(number, "the line is not finished"))?;
        let line = &rest[..end];
        rest = &rest[end + 1..];
        let record =
            canon::parse(line, LINE).map_err(|_| broken(number, "the line is not a record"))?;
        if record["seq"].as_u64() != Some(number) {
            return Err(broken(number, "the line's number does not follow"));
        }
        if record["prev"] != json!(chain.head) {
            return Err(broken(number, "the line before it was changed or removed"));
        }
        chain = Chain {
            records: number,
            head: Some(sha256(line)),
        };
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Phase;
    use crate::time::Timestamp;

    fn event(operation: &str) -> Event {
        Event {
            time: Timestamp::from_secs(0),
            phase: Phase::Intent,
            request_id: "r".into(),
            front: "cli".into(),
            caller: "uid:1".into(),
            method: "local".into(),
            operation: operation.into(),
            key: None,
            provider: None,
            decision: "allow".into(),
            rule: "x".into(),
            payload: None,
            result: None,
            latency_us: None,
            generation: None,
        }
    }

    fn append(path: &Path, event: &Event) -> Result<Receipt, AuditFault> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(super::super::open(path).append(event))
    }

    fn log() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        create(&path).unwrap();
        (dir, path)
    }

    #[test]
    fn records_are_chained_and_numbered() {
        let (_dir, path) = log();
        for n in 1..=3 {
            assert_eq!(append(&path, &event("sign")).unwrap().seq, n);
        }
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(check_chain(&path, &bytes).unwrap().records, 3);
        // Any changed line, but the last, breaks the chain after it.
        let changed = String::from_utf8(bytes.clone())
            .unwrap()
            .replacen("\"sign\"", "\"sigm\"", 1);
        assert!(matches!(
            check_chain(&path, changed.as_bytes()),
            Err(AuditFault::Broken { line: 2, .. })
        ));
        let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
        assert!(check_chain(&path, &bytes[second..]).is_err());
    }

    #[test]
    fn a_line_cut_short_by_a_crash_is_cut_off_and_told() {
        let (_dir, path) = log();
        append(&path, &event("sign")).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"half\":");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(append(&path, &event("sign")).unwrap().seq, 2);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"cut_off\":8"), "{text}");
        check_chain(&path, text.as_bytes()).unwrap();
    }

    #[test]
    fn a_log_that_vanished_is_not_begun_anew() {
        let (_dir, path) = log();
        append(&path, &event("sign")).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            append(&path, &event("sign")),
            Err(AuditFault::Missing(path.clone()))
        );
        assert!(!path.exists());
    }

    #[test]
    fn a_log_that_is_something_else_is_refused() {
        let (dir, path) = log();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert_eq!(
            append(&path, &event("sign")),
            Err(AuditFault::NotAFile(path.clone()))
        );
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"not a record\n").unwrap();
        assert!(matches!(
            append(&path, &event("sign")),
            Err(AuditFault::Broken { .. })
        ));
        drop(dir);
    }

    #[test]
    fn a_lock_held_elsewhere_is_waited_for_and_then_named() {
        let (_dir, path) = log();
        let holder = File::open(&path).unwrap();
        flock(&holder, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert_eq!(
            append(&path, &event("sign")),
            Err(AuditFault::Busy(path.clone()))
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn the_newest_generation_is_carried_forward() {
        let (_dir, path) = log();
        let sink = super::super::open(&path);
        assert_eq!(sink.generation(), Ok(None));
        for (given, newest) in [(Some(4), 4), (None, 4), (Some(3), 4), (Some(5), 5)] {
            let mut event = event("sign");
            event.generation = given;
            append(&path, &event).unwrap();
            assert_eq!(sink.generation(), Ok(Some(newest)));
        }
    }

    #[test]
    fn a_field_of_any_length_stays_a_bounded_record() {
        let (_dir, path) = log();
        append(&path, &event(&"ü\u{1}".repeat(100_000))).unwrap();
        assert_eq!(append(&path, &event("sign")).unwrap().seq, 2);
    }
}
