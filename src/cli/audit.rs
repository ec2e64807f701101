use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use super::output::{Style, visible};
use super::{Context, Output, count};
use crate::durable::{self, Existing};
use crate::ops::audit::{
    self, Checked, CheckedGrowth, CheckedProof, Filter, Place, Records, Verified,
};
use crate::ops::{Exit, Failure};
use crate::time::{Span, Timestamp};

/// `obreia audit`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the newest records
    #[command(after_help = "Examples:\n  \
obreia audit show\n  \
obreia audit show -n 100 -o json\n\n\
Nothing is verified by showing it; obreia audit verify does that.")]
    Show {
        #[command(flatten)]
        log: Log,
        /// How many
        #[arg(short = 'n', long = "last", value_name = "COUNT", default_value_t = 20)]
        last: usize,
    },
    /// Find records
    #[command(after_help = "Examples:\n  \
obreia audit search --key kms://model-sign/prod --since 24h\n  \
obreia audit search --op sign --result failed\n  \
obreia audit search --request 0d5a… -o json\n\n\
All that is given must fit. --key fits everything below a path too.")]
    Search(Search),
    /// Verify the whole log, or a proof, with the log's public key alone
    #[command(after_help = "Examples:\n  \
obreia audit verify\n  \
obreia audit verify --log copy/audit --key log.pub --extends checkpoint-of-may\n  \
obreia audit verify --proof proof.json --key log.pub\n  \
obreia audit verify --proof growth.json --key log.pub --extends checkpoint-of-may\n\n\
Exit codes: 0 whole or proven, 1 broken or not proven. Keep the public key, and now and then\n\
a copy of state/audit/checkpoint, where whoever can change the log cannot change them.")]
    Verify {
        #[command(flatten)]
        log: Log,
        /// The log's public key, or a file that holds it (default: the one beside the log)
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// An earlier checkpoint of the log, which it must have grown from; may be repeated
        #[arg(long, value_name = "FILE")]
        extends: Vec<PathBuf>,
        /// Check this proof instead of a log
        #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "log")]
        proof: Option<PathBuf>,
    },
    /// Prove that a request's records stand in the log, or that it has grown from an earlier state
    #[command(after_help = "Examples:\n  \
obreia audit prove 0d5a… --output proof.json\n  \
obreia audit verify --proof proof.json --key log.pub\n  \
obreia audit prove --from 1200 --output growth.json\n  \
obreia audit verify --proof growth.json --key log.pub --extends checkpoint-of-may\n\n\
The proof of a request holds its records, a c2sp.org/tlog-proof for each, and a signed\n\
checkpoint. SIZE is the second line of a checkpoint that was kept; the proof from it shows\n\
whoever kept it that nothing it covers was changed since, and shows no record.")]
    Prove {
        /// The request's id, as records have it
        #[arg(required_unless_present = "from")]
        request_id: Option<String>,
        /// Prove that the log has grown from its first SIZE records
        #[arg(long, value_name = "SIZE", conflicts_with = "request_id")]
        from: Option<u64>,
        /// Where the proof goes (default: standard output)
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace a file that is there
        #[arg(long, requires = "output")]
        force: bool,
        #[command(flatten)]
        log: Log,
    },
    /// Print the public key that the log is verified with
    #[command(after_help = "Example:\n  obreia audit key > log.pub\n\n\
The form is that of signed notes, name+id+base64 (c2sp.org/signed-note).")]
    Key,
}

#[derive(Debug, Args)]
struct Log {
    /// The log's folder, as a copy of state/audit is (default: the configured state's)
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Search {
    #[command(flatten)]
    log: Log,
    /// The key's path, or what it begins with up to a slash, or its id
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Who asked, as recorded: uid:1000
    #[arg(long, value_name = "CALLER")]
    caller: Option<String>,
    /// The operation: sign, create, rotate, …
    #[arg(long, value_name = "OPERATION")]
    op: Option<String>,
    /// The provider: embedded, file, …
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// How it ended: ok, denied, a kind of failure, or failed for any of them
    #[arg(long, value_name = "RESULT")]
    result: Option<String>,
    /// The request's id, or the provider's own id of it
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// The digest of what was signed: sha256:…
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Not before: 2026-11-21T10:00:00Z, or how long ago: 24h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before: 2026-11-21T10:00:00Z, or how long ago: 1h
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How many at most, the newest
    #[arg(
        short = 'n',
        long = "last",
        value_name = "COUNT",
        default_value_t = 100
    )]
    last: usize,
}

impl Arguments {
    /// Does what the subcommand says.
    ///
    /// # Errors
    /// Where it was not done.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        match self.command {
            Command::Show { log, last } => {
                let records = audit::records(&log.place(context)?, &Filter::default(), last)?;
                print_records(&records, output)
            }
            Command::Search(search) => {
                let filter = search.filter(context.now())?;
                let place = search.log.place(context)?;
                print_records(&audit::records(&place, &filter, search.last)?, output)
            }
            Command::Verify {
                key,
                proof: Some(proof),
                extends,
                ..
            } => check_proof(&proof, &key.unwrap_or_default(), &extends, output),
            Command::Verify {
                log, key, extends, ..
            } => {
                let own = key.is_none();
                let key = key.as_deref().map(audit::parse_key).transpose()?;
                let verified = audit::verify(&log.place(context)?, key, &extends)?;
                print_verified(&verified, own, output)
            }
            Command::Prove {
                request_id,
                from,
                output: file,
                force,
                log,
            } => {
                let place = log.place(context)?;
                let file = file.as_deref().map(|file| (file, force));
                match (from, request_id) {
                    (Some(from), _) => {
                        let proof = audit::prove_growth(&place, from)?;
                        hand_out(&proof, &format!("growth from {from}"), file, output)
                    }
                    (None, request_id) => {
                        let proof = audit::prove(&place, &request_id.unwrap_or_default())?;
                        let records = count(proof.records.len(), "record");
                        hand_out(&proof, &records, file, output)
                    }
                }
            }
            Command::Key => {
                let key = audit::key(&state(context)?)?;
                if output.is_json() {
                    output.json(&key)?;
                }
                output.line(&key.key)?;
                Ok(Exit::Done)
            }
        }
    }
}

impl Log {
    fn place(&self, context: &Context) -> Result<Place, Failure> {
        match &self.log {
            Some(folder) => Ok(Place::Folder(folder.clone())),
            None => state(context).map(Place::State),
        }
    }
}

fn state(context: &Context) -> Result<PathBuf, Failure> {
    Ok(context.config()?.state_dir()?.to_owned())
}

impl Search {
    fn filter(&self, now: Timestamp) -> Result<Filter, Failure> {
        let time = |text: &Option<String>| text.as_deref().map(|t| time(t, now)).transpose();
        Ok(Filter {
            key: self.key.clone(),
            caller: self.caller.clone(),
            operation: self.op.clone(),
            provider: self.provider.clone(),
            result: self.result.clone(),
            request_id: self.request.clone(),
            payload: self.digest.clone(),
            since: time(&self.since)?,
            until: time(&self.until)?,
        })
    }
}

/// A time, or how long before `now`.
fn time(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(span) = text.parse::<Span>() {
        return Ok(Timestamp::from_nanos(
            now.nanos().saturating_sub(span.nanos()),
        ));
    }
    text.parse().map_err(|e| {
        Failure::new(Exit::Usage, format!("{text:?} is no time"))
            .cause(e)
            .hint("write 2026-11-21T10:00:00Z, or how long ago: 90s, 15m, 24h, 30d, 4w")
    })
}

fn print_records(records: &Records, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.json(records)?;
        return Ok(Exit::Done);
    }
    for record in &records.records {
        let line = line(record, output);
        output.line(&line)?;
    }
    let shown = records.records.len() as u64;
    if shown < records.found {
        output.info(&format!(
            "({shown} of {} records; -n shows more)",
            records.found
        ))?;
    } else if shown == 0 {
        output.info("no records")?;
    }
    Ok(Exit::Done)
}

/// A record as one line: number, time, what became of it, what, with which
/// key, by whom, under which request here and at the provider.
fn line(record: &Value, output: &Output) -> String {
    let text = |value: &Value| visible(value.as_str().unwrap_or("-"));
    let result = record["result"].as_str();
    let (style, became) = match (record["phase"].as_str(), result) {
        (Some("intent"), _) => (Style::Dim, "intent"),
        (_, Some("ok")) => (Style::Green, "ok"),
        (_, other) => (Style::Red, other.unwrap_or("?")),
    };
    let key = &record["key"];
    let version = key["version"]
        .as_u64()
        .map(|version| format!("?version={version}"))
        .unwrap_or_default();
    let took = record["latency_us"]
        .as_u64()
        .map(|us| format!("  {}.{:03} ms", us / 1_000, us % 1_000))
        .unwrap_or_default();
    let theirs = record["provider_request"]
        .as_str()
        .map(|id| format!("  at the provider {}", visible(id)))
        .unwrap_or_default();
    format!(
        "{:>6}  {:<30}  {}  {:<8}  {}{version}  {}  {}{took}{theirs}",
        record["seq"].as_u64().unwrap_or_default(),
        text(&record["time"]),
        output.paint(style, &format!("{:<10}", visible(became))),
        text(&record["op"]),
        text(&key["path"]),
        text(&record["caller"]),
        text(&record["request_id"]),
    )
}

fn print_verified(
    verified: &Verified,
    own_key: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let whole = verified.problem_count == 0;
    if output.is_json() {
        output.json(verified)?;
    } else {
        let (style, word) = if whole {
            (Style::Green, "WHOLE")
        } else {
            (Style::Red, "BROKEN")
        };
        output.line(&format!(
            "{} {}: {}, root {}",
            output.paint(style, word),
            visible(&verified.log),
            count(verified.size as usize, "record"),
            verified.root
        ))?;
        for problem in &verified.problems {
            output.line(&format!(
                "├─ {}: {}",
                output.paint(style, &visible(&problem.place)),
                visible(&problem.problem)
            ))?;
        }
        if verified.problem_count > verified.problems.len() as u64 {
            output.line(&format!("├─ … {} problems in all", verified.problem_count))?;
        }
        for one in &verified.unfinished {
            output.line(&format!(
                "├─ {}: {} {} of {} by {} has no outcome (request {})",
                output.paint(Style::Yellow, &format!("record {}", one.seq)),
                visible(&one.time),
                visible(&one.operation),
                visible(one.key.as_deref().unwrap_or("-")),
                visible(&one.caller),
                visible(&one.request_id)
            ))?;
        }
        if verified.torn_bytes > 0 {
            output.line(&format!(
                "├─ {} bytes at the end are of a write that was never finished",
                verified.torn_bytes
            ))?;
        }
        output.line(&format!("└─ key {}", visible(&verified.key)))?;
        if own_key {
            output.info(
                "verified with the key that lies beside the log; --key takes one kept elsewhere",
            )?;
        }
    }
    Ok(if whole { Exit::Done } else { Exit::Denied })
}

/// A proof of `what`, to standard output, or to a file that is there only if
/// it may be replaced.
fn hand_out<T: Serialize>(
    proof: &T,
    what: &str,
    file: Option<(&Path, bool)>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let Some((file, force)) = file else {
        output.json(proof)?;
        return Ok(Exit::Done);
    };
    let mut bytes = serde_json::to_vec_pretty(proof)
        .map_err(|e| Failure::new(Exit::Bug, "cannot render the proof").cause(e))?;
    bytes.push(b'\n');
    let existing = if force {
        Existing::Replace
    } else {
        Existing::Refuse
    };
    durable::write(file, &bytes, 0o644, existing)?;
    if output.is_json() {
        output.json(proof)?;
    }
    output.info(&format!("proved {what} in {}", file.display()))?;
    Ok(Exit::Done)
}

fn check_proof(
    file: &Path,
    key: &str,
    earlier: &[PathBuf],
    output: &mut Output,
) -> Result<Exit, Failure> {
    match audit::check_proof(file, &audit::parse_key(key)?, earlier)? {
        CheckedProof::Request(checked) => print_checked(&checked, output),
        CheckedProof::Growth(checked) => print_growth(&checked, output),
    }
}

fn proven(problem: Option<&String>, output: &Output) -> (String, Exit) {
    match problem {
        None => (output.paint(Style::Green, "PROVEN"), Exit::Done),
        Some(_) => (output.paint(Style::Red, "NOT PROVEN"), Exit::Denied),
    }
}

fn print_growth(checked: &CheckedGrowth, output: &mut Output) -> Result<Exit, Failure> {
    let (word, exit) = proven(checked.problem.as_ref(), output);
    if output.is_json() {
        output.json(checked)?;
        return Ok(exit);
    }
    let log = visible(&checked.log);
    match (&checked.problem, checked.size) {
        (Some(problem), _) => {
            output.line(&format!("{word} growth of {log} from {}", checked.from))?;
            output.line(&format!("└─ {}", visible(problem)))?;
        }
        (None, size) => {
            let records = count(size.unwrap_or_default() as usize, "record");
            output.line(&format!(
                "{word} {log} grew from {} to {records}",
                checked.from
            ))?;
        }
    }
    Ok(exit)
}

fn print_checked(checked: &Checked, output: &mut Output) -> Result<Exit, Failure> {
    let (word, exit) = proven(checked.problem.as_ref(), output);
    if output.is_json() {
        output.json(checked)?;
        return Ok(exit);
    }
    output.line(&format!(
        "{word} request {} in {}",
        visible(&checked.request_id),
        visible(&checked.log)
    ))?;
    match &checked.problem {
        Some(problem) => output.line(&format!("└─ {}", visible(problem)))?,
        None => {
            for record in &checked.records {
                let line = line(record, output);
                output.line(&line)?;
            }
        }
    }
    Ok(exit)
}
