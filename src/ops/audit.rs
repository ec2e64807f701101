//! The audit log, read, searched, verified and proven.

mod consistency;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Exit, Failure};
use crate::audit::{self, AuditFault, AuditLog, Problem, Unfinished};
use crate::canon;
use crate::durable;
use crate::limits;
use crate::time::Timestamp;
use crate::tlog::{Checkpoint, MAX_ENTRY, NoteKey, RecordProof};

pub use consistency::{CheckedGrowth, Consistency, prove_growth};

const PROOF: &str = "obreia.audit-proof/v1";

/// Which log: that of a state folder, or the folder of a log alone, as a copy
/// of one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A state folder.
    State(PathBuf),
    /// A log's folder.
    Folder(PathBuf),
}

impl Place {
    fn folder(&self) -> PathBuf {
        match self {
            Self::State(state) => audit::folder(state),
            Self::Folder(folder) => folder.clone(),
        }
    }

    /// What verifying comes to where there is nothing to verify: of a state
    /// folder that had a log, that it does not hold.
    fn lost(&self, fault: AuditFault) -> Failure {
        let gone = matches!(fault, AuditFault::Missing(_) | AuditFault::Key { .. });
        let failure = Failure::from(fault);
        match self {
            Self::State(state) if gone && audit::begun(state) => Failure {
                exit: Exit::Denied,
                ..failure
            },
            _ => failure,
        }
    }

    /// Opens it to be read.
    ///
    /// # Errors
    /// Where there is none.
    fn open(&self) -> Result<AuditLog, Failure> {
        match self {
            Self::State(state) => {
                // Tells an earlier build's log, and a key that is missing.
                audit::public_key(state)?;
            }
            Self::Folder(_) => {}
        }
        Ok(AuditLog::open(&self.folder())?)
    }
}

/// What a record must have to be found; all that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The key's path, its URI at a provider, or the beginning of one of them
    /// up to a `/`; or its id.
    pub key: Option<String>,
    /// The caller, as recorded.
    pub caller: Option<String>,
    /// The operation.
    pub operation: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The result of an outcome; `failed` is any but `ok`.
    pub result: Option<String>,
    /// The request's id, or the provider's own.
    pub request_id: Option<String>,
    /// The digest of what was signed.
    pub payload: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// `obreia.audit-records/v1`: records, oldest first, as they stand in the log;
/// nothing of them was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Records {
    /// `obreia.audit-records/v1`
    pub schema: &'static str,
    /// The log's name.
    pub log: String,
    /// How many records the log has.
    pub size: u64,
    /// How many fit; `records` are the newest of them.
    pub found: u64,
    /// The records.
    pub records: Vec<Value>,
}

/// The newest `limit` records that fit `filter`.
///
/// # Errors
/// Where the log cannot be read.
pub fn records(place: &Place, filter: &Filter, limit: usize) -> Result<Records, Failure> {
    let log = place.open()?;
    // Without a filter only the end is read.
    let all = *filter == Filter::default();
    let skipped = if all {
        log.size().saturating_sub(limit as u64)
    } else {
        0
    };
    let (mut kept, mut found) = (VecDeque::new(), skipped);
    for record in log.records_from(skipped) {
        let record = parse(record?)?;
        if !filter.fits(&record) {
            continue;
        }
        found += 1;
        kept.push_back(record);
        if kept.len() > limit {
            kept.pop_front();
        }
    }
    Ok(Records {
        schema: "obreia.audit-records/v1",
        log: log.origin().to_owned(),
        size: log.size(),
        found,
        records: kept.into(),
    })
}

impl Filter {
    fn fits(&self, record: &Value) -> bool {
        let is = |wanted: &Option<String>, value: &Value| {
            wanted
                .as_deref()
                .is_none_or(|wanted| value.as_str() == Some(wanted))
        };
        let key = &record["key"];
        let result = record["result"].as_str();
        let time: Option<Timestamp> = record["time"].as_str().and_then(|t| t.parse().ok());
        self.key.as_deref().is_none_or(|wanted| {
            let below = |name: &Value| {
                let rest = name.as_str().and_then(|name| name.strip_prefix(wanted));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            key["id"] == wanted || below(&key["path"]) || below(&key["uri"])
        }) && is(&self.caller, &record["caller"])
            && is(&self.operation, &record["op"])
            && is(&self.provider, &record["provider"])
            && is(&self.payload, &record["payload"])
            && (is(&self.request_id, &record["request_id"])
                || is(&self.request_id, &record["provider_request"]))
            && match self.result.as_deref() {
                None => true,
                Some("failed") => result.is_some_and(|result| result != "ok"),
                Some(wanted) => result == Some(wanted),
            }
            && self
                .since
                .is_none_or(|since| time.is_some_and(|t| t >= since))
            && self
                .until
                .is_none_or(|until| time.is_some_and(|t| t < until))
    }
}

/// `obreia.audit-key/v1`: the key that the log's checkpoints are signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogKey {
    /// `obreia.audit-key/v1`
    pub schema: &'static str,
    /// The log's name.
    pub log: String,
    /// `name+id+base64`
    pub key: String,
}

/// The public key of a state folder's log.
///
/// # Errors
/// Where there is none.
pub fn key(state: &Path) -> Result<LogKey, Failure> {
    let key = audit::public_key(state)?;
    Ok(LogKey {
        schema: "obreia.audit-key/v1",
        log: key.name().to_owned(),
        key: key.to_string(),
    })
}

/// Reads a log's public key: the text itself, or a file that holds it.
///
/// # Errors
/// Usage, for anything else.
pub fn parse_key(text: &str) -> Result<NoteKey, Failure> {
    let wrong = |what: String, cause: String| {
        Failure::new(Exit::Usage, what)
            .cause(cause)
            .hint("print it where the log is with: obreia audit key")
    };
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let path = Path::new(text);
    if !path.exists() {
        let cause = text
            .parse::<NoteKey>()
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        return Err(wrong(
            format!("{text} is neither a log's public key nor a file"),
            cause,
        ));
    }
    let bytes = durable::read(path, limits::KEY_FILE)?;
    String::from_utf8_lossy(&bytes)
        .trim()
        .parse()
        .map_err(|e: crate::tlog::NoteError| {
            wrong(format!("{text} holds no log's public key"), e.to_string())
        })
}

/// `obreia.audit-verify/v1`: what verifying a whole log found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// `obreia.audit-verify/v1`
    pub schema: &'static str,
    /// `whole` or `broken`.
    pub verdict: &'static str,
    /// The log's name, as its key says.
    pub log: String,
    /// The key it was verified with.
    pub key: String,
    /// How many records were read.
    pub size: u64,
    /// The root over them, base64.
    pub root: String,
    /// How many the checkpoint covers.
    pub checkpoint: Option<u64>,
    /// How many things do not hold.
    pub problem_count: u64,
    /// The first of them.
    pub problems: Vec<Problem>,
    /// How many intents have no outcome.
    pub unfinished_count: u64,
    /// The newest of them.
    pub unfinished: Vec<Unfinished>,
    /// Bytes of a write that was never finished, and never acknowledged.
    pub torn_bytes: u64,
}

/// Verifies a whole log with `key`; without one, with the key that lies
/// beside a state folder's log. `earlier` are files with checkpoints that it
/// must have grown from.
///
/// # Errors
/// Where the log, the key or an earlier checkpoint cannot be read; a log that
/// does not hold is an answer.
pub fn verify(
    place: &Place,
    key: Option<NoteKey>,
    earlier: &[PathBuf],
) -> Result<Verified, Failure> {
    let key = match (key, place) {
        (Some(key), _) => key,
        (None, Place::State(state)) => audit::public_key(state).map_err(|e| place.lost(e))?,
        (None, Place::Folder(folder)) => {
            return Err(Failure::new(
                Exit::Usage,
                format!("no key to verify {} with", folder.display()),
            )
            .hint("give --key KEY, as obreia audit key printed it where the log is"));
        }
    };
    let mut known = Vec::new();
    for path in earlier {
        known.push((path.display().to_string(), checkpoint(path, &key)?));
    }
    let mut bad_head = None;
    if let Place::State(state) = place {
        match audit::head(state, &key) {
            Ok(head) => known.extend(head.map(|head| ("audit.head".to_owned(), head))),
            Err(AuditFault::Broken { why, .. }) => bad_head = Some(why),
            Err(fault) => return Err(fault.into()),
        }
    }
    let verified = audit::verify(&place.folder(), &key, &known);
    let mut report = verified.map_err(|fault| place.lost(fault))?;
    if matches!(place, Place::State(_)) && !place.folder().join("journal").exists() {
        // A copy may be without it; here it is what makes records durable.
        report.problem_count += 1;
        report.problems.push(Problem {
            place: "journal".to_owned(),
            problem: "it is missing".to_owned(),
        });
    }
    if let Some(problem) = bad_head {
        report.problem_count += 1;
        report.problems.push(Problem {
            place: "audit.head".to_owned(),
            problem,
        });
    }
    Ok(Verified {
        schema: "obreia.audit-verify/v1",
        verdict: if report.problem_count == 0 {
            "whole"
        } else {
            "broken"
        },
        log: key.name().to_owned(),
        key: key.to_string(),
        size: report.size,
        root: report.root.to_base64(),
        checkpoint: report.checkpoint,
        problem_count: report.problem_count,
        problems: report.problems,
        unfinished_count: report.unfinished_count,
        unfinished: report.unfinished,
        torn_bytes: report.torn,
    })
}

/// A checkpoint that somebody kept.
fn checkpoint(path: &Path, key: &NoteKey) -> Result<Checkpoint, Failure> {
    let bytes = durable::read(path, limits::KEY_FILE)?;
    Checkpoint::open(&bytes, key).map_err(|e| {
        Failure::new(
            Exit::Usage,
            format!("{} is no checkpoint of that log", path.display()),
        )
        .cause(e)
        .hint("give a copy of the log's file checkpoint, and the same log's key")
    })
}

/// `obreia.audit-proof/v1`: proof that a request's records stand in a log;
/// stands alone but for the log's public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// `obreia.audit-proof/v1`
    pub schema: String,
    /// The log's name.
    pub log: String,
    /// The request.
    pub request_id: String,
    /// Its records, oldest first.
    pub records: Vec<ProvenRecord>,
}

/// One record with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenRecord {
    /// The record; its canonical JSON is the entry in the log.
    pub record: Value,
    /// `c2sp.org/tlog-proof@v1`
    pub proof: String,
}

/// Proves the records of a request.
///
/// # Errors
/// Where there is no such request, or the log does not prove it.
pub fn prove(place: &Place, request_id: &str) -> Result<Proof, Failure> {
    let log = place.open()?;
    let mut records = Vec::new();
    for numbered in log.records() {
        let (seq, entry) = numbered?;
        let record = parse((seq, entry.clone()))?;
        if record["request_id"] != request_id {
            continue;
        }
        let Some(proof) = log.prove(seq, &entry)? else {
            return Err(Failure::new(
                Exit::Undetermined,
                format!("record {seq} is not under a signed checkpoint yet"),
            )
            .hint("the next operation with a key signs one"));
        };
        records.push(ProvenRecord {
            record,
            proof: proof.text(),
        });
    }
    if records.is_empty() {
        return Err(
            Failure::new(Exit::Usage, format!("the log has no request {request_id}"))
                .hint("list requests with: obreia audit search"),
        );
    }
    Ok(Proof {
        schema: PROOF.to_owned(),
        log: log.origin().to_owned(),
        request_id: request_id.to_owned(),
        records,
    })
}

/// `obreia.audit-proof-check/v1`: what a proof came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// `obreia.audit-proof-check/v1`
    pub schema: &'static str,
    /// `proven` or `not-proven`.
    pub verdict: &'static str,
    /// The log's name, as its key says.
    pub log: String,
    /// The request.
    pub request_id: String,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The records.
    pub records: Vec<Value>,
}

/// What a proof of either kind came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckedProof {
    /// One of a request's records.
    Request(Checked),
    /// One of the log's growth.
    Growth(CheckedGrowth),
}

/// Checks a proof with the log's public key, and one of growth with the
/// `earlier` checkpoint that was kept.
///
/// # Errors
/// Where the file is no proof, or the checkpoints are not those that it takes;
/// one that proves nothing is an answer.
pub fn check_proof(
    file: &Path,
    key: &NoteKey,
    earlier: &[PathBuf],
) -> Result<CheckedProof, Failure> {
    let bytes = durable::read(file, limits::DOCUMENT)?;
    let proof: Value = proof_file(file, &bytes)?;
    match proof["schema"].as_str() {
        Some(consistency::CONSISTENCY) => {
            consistency::check(file, &bytes, key, earlier).map(CheckedProof::Growth)
        }
        Some(PROOF) if earlier.is_empty() => {
            check_records(file, &bytes, key).map(CheckedProof::Request)
        }
        Some(PROOF) => Err(Failure::new(
            Exit::Usage,
            format!(
                "{} proves records, under a checkpoint of its own",
                file.display()
            ),
        )
        .hint("leave --extends out")),
        _ => Err(no_proof(file, format!("its schema is {}", proof["schema"]))),
    }
}

fn no_proof(file: &Path, cause: String) -> Failure {
    Failure::new(Exit::Usage, format!("{} is no proof", file.display()))
        .cause(cause)
        .hint("make one with: obreia audit prove REQUEST_ID, or obreia audit prove --from SIZE")
}

fn proof_file<T: DeserializeOwned>(file: &Path, bytes: &[u8]) -> Result<T, Failure> {
    canon::parse_as(bytes, limits::DOCUMENT).map_err(|e| no_proof(file, e.to_string()))
}

fn check_records(file: &Path, bytes: &[u8], key: &NoteKey) -> Result<Checked, Failure> {
    let proof: Proof = proof_file(file, bytes)?;
    if proof.records.is_empty() {
        return Err(no_proof(file, "it holds no record".to_owned()));
    }
    let problem = proof.records.iter().find_map(|one| {
        let checked = RecordProof::parse(&one.proof)
            .and_then(|proof| proof.verify(&canon::canonical(&one.record), key));
        match checked {
            Err(e) => Some(e.to_string()),
            Ok(_) if one.record["request_id"] != *proof.request_id => {
                Some("a record is of another request".to_owned())
            }
            Ok(_) => None,
        }
    });
    Ok(Checked {
        schema: "obreia.audit-proof-check/v1",
        verdict: if problem.is_none() {
            "proven"
        } else {
            "not-proven"
        },
        log: key.name().to_owned(),
        request_id: proof.request_id,
        problem,
        records: proof.records.into_iter().map(|one| one.record).collect(),
    })
}

fn parse((seq, entry): (u64, Vec<u8>)) -> Result<Value, Failure> {
    canon::parse(&entry, MAX_ENTRY as u64).map_err(|e| {
        Failure::new(Exit::Undetermined, format!("record {seq} cannot be read"))
            .code("audit-broken")
            .cause(e)
            .hint("see what is left of the log with: obreia audit verify")
    })
}

impl From<AuditFault> for Failure {
    fn from(fault: AuditFault) -> Self {
        Self::new(Exit::Undetermined, "cannot use the audit log")
            .code(fault.code())
            .hint(fault.hint())
            .cause(fault)
    }
}
