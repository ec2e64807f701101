//! `obreia policy`: policies looked over, tried on cases, and locked.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::policies::{folder_of, gather, read, rules};
use super::{Exit, Failure, certificates};
use crate::digest::Digest;
use crate::durable::{self, Existing};
use crate::keys::Keyring;
use crate::limits;
use crate::policy::{
    self, CaseResult, Dialect, Document, Finding, Gathered, Policy, Rego, Severity, Suite, Want,
};

/// What was found in policy files: `obreia.policy-check/v1`.
#[derive(Debug, Serialize)]
pub struct Checked {
    schema: &'static str,
    /// Whether no file has an error.
    pub ok: bool,
    /// Each file.
    pub files: Vec<CheckedFile>,
}

/// What was found in one file.
#[derive(Debug, Serialize)]
pub struct CheckedFile {
    /// The file.
    pub file: PathBuf,
    /// Why it cannot be read as policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The documents in it.
    pub policies: Vec<CheckedPolicy>,
}

/// What was found in one document.
#[derive(Debug, Serialize)]
pub struct CheckedPolicy {
    /// Its name.
    pub name: String,
    /// `VerificationPolicy` or `ClusterImagePolicy`.
    pub kind: &'static str,
    /// Whether it names no key that has to be looked up.
    pub locked: bool,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Looks files over; no key is looked up.
pub fn check(files: &[PathBuf]) -> Checked {
    let files: Vec<CheckedFile> = files.iter().map(|file| check_file(file)).collect();
    let sound = |file: &CheckedFile| {
        let findings = file.policies.iter().flat_map(|p| &p.findings);
        file.error.is_none() && findings.into_iter().all(|f| f.severity != Severity::Error)
    };
    Checked {
        schema: "obreia.policy-check/v1",
        ok: files.iter().all(sound),
        files,
    }
}

fn check_file(file: &Path) -> CheckedFile {
    let failed = |error: String| CheckedFile {
        file: file.to_owned(),
        error: Some(error),
        policies: Vec::new(),
    };
    let sound = || CheckedFile {
        file: file.to_owned(),
        error: None,
        policies: Vec::new(),
    };
    if is_rego(file) {
        return match rego(file) {
            Ok(_) => sound(),
            Err(failure) => failed(reason(&failure)),
        };
    }
    if file.to_string_lossy().ends_with(CASES) {
        return match suite(file) {
            Ok(_) => sound(),
            Err(failure) => failed(reason(&failure)),
        };
    }
    let documents = match read(file) {
        Ok(documents) => documents,
        Err(failure) => return failed(reason(&failure)),
    };
    let mut policies: Vec<CheckedPolicy> = Vec::new();
    for document in documents {
        let mut findings = Vec::new();
        if policies.iter().any(|p| p.name == document.name()) {
            findings.push(Finding {
                severity: Severity::Error,
                field: "metadata.name".to_owned(),
                detail: "is the name of an earlier document of the file".to_owned(),
            });
        }
        let mut checked = CheckedPolicy {
            name: document.name().to_owned(),
            kind: match document.dialect() {
                Dialect::VerificationPolicy => "VerificationPolicy",
                Dialect::ClusterImagePolicy => "ClusterImagePolicy",
            },
            locked: document.is_locked(),
            findings,
        };
        match gather_files(&document, folder_of(file)) {
            Ok(gathered) => checked.findings.extend(policy::check(document, &gathered)),
            Err(failure) => checked.findings.push(Finding {
                severity: Severity::Error,
                field: "spec".to_owned(),
                detail: reason(&failure),
            }),
        }
        policies.push(checked);
    }
    CheckedFile {
        file: file.to_owned(),
        error: None,
        policies,
    }
}

/// What became of cases: `obreia.policy-test/v1`.
#[derive(Debug, Serialize)]
pub struct TestReport {
    schema: &'static str,
    /// Whether all of them passed.
    pub ok: bool,
    /// Each file.
    pub files: Vec<Tested>,
}

/// What became of the cases of one file.
#[derive(Debug, Serialize)]
pub struct Tested {
    /// The policy, or the rules.
    pub policy: PathBuf,
    /// The file of cases.
    pub cases_file: PathBuf,
    /// How many cases passed.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// Each case.
    pub cases: Vec<CaseResult>,
}

/// Holds the cases beside policies, or files of rules, against them.
///
/// Each file is either of the two; `NAME.cases.yaml` lies beside `NAME.yaml` or `NAME.rego`.
///
/// # Errors
/// Where either cannot be read.
pub fn test(files: &[PathBuf]) -> Result<TestReport, Failure> {
    let files = files
        .iter()
        .map(|file| test_file(file))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(TestReport {
        schema: "obreia.policy-test/v1",
        ok: files.iter().all(|file| file.failed == 0),
        files,
    })
}

fn test_file(file: &Path) -> Result<Tested, Failure> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let (cases_file, subject) = match name.strip_suffix(CASES) {
        Some(stem) => (file.to_owned(), Err(stem.to_owned())),
        None => {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            (
                file.with_file_name(format!("{stem}{CASES}")),
                Ok(file.to_owned()),
            )
        }
    };
    let suite = suite(&cases_file)?;
    let subject = match (subject, suite.policy()) {
        (Ok(subject), _) => subject,
        (Err(_), Some(named)) => folder_of(&cases_file).join(named),
        (Err(stem), None) => [".yaml", ".rego"]
            .iter()
            .map(|ending| cases_file.with_file_name(format!("{stem}{ending}")))
            .find(|path| path.is_file())
            .ok_or_else(|| {
                Failure::new(
                    Exit::Usage,
                    format!("there is neither {stem}.yaml nor {stem}.rego beside the cases"),
                )
            })?,
    };
    let cases = if is_rego(&subject) {
        suite.run_rules(&rego(&subject)?)?
    } else {
        let documents = read(&subject)?;
        let mut gathered = Gathered::default();
        for document in &documents {
            let found = gather_files(document, folder_of(&subject))?;
            gathered.rules.extend(found.rules);
            gathered.certificates.extend(found.certificates);
        }
        suite.run(documents, &gathered)?
    };
    let passed = cases.iter().filter(|c| c.passed).count();
    Ok(Tested {
        policy: subject,
        cases_file,
        passed,
        failed: cases.len() - passed,
        cases,
    })
}

/// A locked policy file: `obreia.policy-lock/v1`.
#[derive(Debug, Serialize)]
pub struct Lock {
    schema: &'static str,
    /// Where it was written; `None` where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<PathBuf>,
    /// The policies in it.
    pub policies: Vec<LockedPolicy>,
    /// The file's text.
    #[serde(skip)]
    pub text: String,
}

/// A policy in a locked file.
#[derive(Debug, Serialize)]
pub struct LockedPolicy {
    /// Its name.
    pub name: String,
    /// Its digest: the same as the unlocked policy's.
    pub digest: Option<Digest>,
    /// Public keys that now stand in it.
    pub keys: usize,
}

/// What to do where the file to write is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Leave it and fail.
    No,
    /// Replace it in one step.
    Yes,
}

/// Puts public keys and rules into the place of what names them, and writes
/// the file whole or not at all; without `out`, nothing is written.
///
/// # Errors
/// Where a key or a file cannot be had (exit 3, or 4 where trying again may help).
pub async fn lock(
    file: &Path,
    out: Option<(&Path, Replace)>,
    keyring: &Keyring,
) -> Result<Lock, Failure> {
    let mut texts = Vec::new();
    let mut policies = Vec::new();
    for document in read(file)? {
        let gathered = gather(&document, folder_of(file), keyring).await?;
        let tree = policy::lock(&document, &gathered)?;
        let text = policy::to_yaml(&tree);
        let unlocked = Policy::compile(document, &gathered)?;
        let locked = reread(file, &text)?;
        if locked.id != unlocked.id {
            return Err(Failure::new(
                Exit::Bug,
                format!("locking changed the policy {:?}", unlocked.id.name),
            ));
        }
        policies.push(LockedPolicy {
            name: locked.id.name.clone(),
            digest: locked.id.digest,
            keys: locked.authorities().iter().map(|a| a.keys.len()).sum(),
        });
        texts.push(text);
    }
    let text = format!(
        "# Locked by obreia policy lock: public keys and rules stand here themselves.\n{}",
        texts.join("---\n")
    );
    if text.len() as u64 > limits::POLICY {
        return Err(Failure::new(
            Exit::Config,
            format!(
                "locked, {} would have {} bytes, and a policy has at most {}",
                file.display(),
                text.len(),
                limits::POLICY
            ),
        )
        .hint("give each policy a file of its own"));
    }
    if let Some((path, replace)) = out {
        let existing = match replace {
            Replace::No => Existing::Refuse,
            Replace::Yes => Existing::Replace,
        };
        durable::write(path, text.as_bytes(), 0o644, existing)?;
    }
    Ok(Lock {
        schema: "obreia.policy-lock/v1",
        written: out.map(|(path, _)| path.to_owned()),
        policies,
        text,
    })
}

/// What a guard makes of the locked text: it must be the same policy and need nothing.
fn reread(file: &Path, text: &str) -> Result<Policy, Failure> {
    let name = format!("{} (locked)", file.display());
    let documents = Document::parse(&name, text.as_bytes())?;
    let [document] = <[Document; 1]>::try_from(documents)
        .map_err(|_| Failure::new(Exit::Bug, "locking made another number of policies"))?;
    if let Some(want) = document.wants().first() {
        return Err(Failure::new(Exit::Bug, format!("locking left {want:?}")));
    }
    Ok(Policy::compile(document, &Gathered::default())?)
}

fn suite(file: &Path) -> Result<Suite, Failure> {
    let bytes = durable::read(file, limits::POLICY).map_err(|e| {
        Failure::new(Exit::Usage, "cannot read the cases").cause(e).hint(format!(
            "the cases of NAME.yaml or NAME.rego lie beside it in NAME{CASES}; docs/policy.md shows how they are written"
        ))
    })?;
    Ok(Suite::parse(&file.display().to_string(), &bytes)?)
}

const CASES: &str = ".cases.yaml";

fn is_rego(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "rego")
}

fn rego(file: &Path) -> Result<Rego, Failure> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let text = rules(folder_of(file), &name)?;
    Rego::compile(&file.display().to_string(), &text, None).map_err(|detail| {
        Failure::new(Exit::Config, format!("{} does not compile", file.display())).cause(detail)
    })
}

/// What lies beside a policy: rules and certificates, and no keys.
fn gather_files(document: &Document, folder: &Path) -> Result<Gathered, Failure> {
    let mut gathered = Gathered::default();
    for want in document.wants() {
        match want {
            Want::Rules(name) => {
                let text = rules(folder, &name)?;
                gathered.rules.insert(name, text);
            }
            Want::Certificates(name) => {
                let files = certificates::read(&folder.join(&name))?;
                gathered.certificates.insert(name, files);
            }
            Want::Key(_) => {}
        }
    }
    Ok(gathered)
}

fn reason(failure: &Failure) -> String {
    failure
        .cause
        .clone()
        .unwrap_or_else(|| failure.what.clone())
}
