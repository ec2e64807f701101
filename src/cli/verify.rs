use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::select::{self, Reading, Selection};
use super::{Context, Output, block_on, verdict};
use crate::oci::Platform;
use crate::ops::{Exit, Failure, gather, verify};
use crate::reference::ArtifactRef;
use crate::verify::{Outcome, Stage, Verdict};

/// `obreia verify ARTIFACT…`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia verify model/ --key signer.pub\n  \
obreia verify app.bin --policy production.yaml --explain\n  \
obreia verify oci-layout:store:v1 --key kms://model-sign/prod/acme/fraud -o json\n  \
obreia verify registry.example/web:v1 --key signer.pub\n  \
obreia verify registry.example/web:v1 --certificate-roots ca.pem --certificate-subject \"C=US, ST=WA, O=acme\"\n  \
obreia verify registry.example/web:v1 --platform linux/arm64 --policy production.yaml\n  \
obreia verify --targets-file running-images.txt --policy production.yaml -o json\n  \
obreia verify sha256:2c26… --bundle app.bin.sigstore.json --key signer.pub\n\n\
Exit codes: 0 allowed, 1 denied, 4 undetermined; of several artifacts, 1 where any is denied. \
Reasons: docs/reasons.md")]
pub struct Arguments {
    /// Files or folders, oci-layout:DIR[:tag|@digest], REGISTRY/REPOSITORY[:tag|@digest], or sha256:HEX
    #[arg(value_name = "ARTIFACT", required_unless_present = "targets_file")]
    artifacts: Vec<String>,
    /// A file that names artifacts too, one on each line; - is standard input
    #[arg(long, value_name = "FILE")]
    targets_file: Option<PathBuf>,
    /// What a policy calls it (default: as given)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    selection: Selection,
    /// Of an index, the image for this platform: OS/ARCHITECTURE[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// The stage that the policy is asked for
    #[arg(long, default_value = "manual", value_name = "STAGE")]
    stage: Stage,
    /// A bare signature over the artifact's bytes, as OpenSSL makes it
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Show how near each rejected piece of evidence came
    #[arg(long)]
    explain: bool,
    /// Decide as of this time instead of now (RFC 3339)
    #[arg(long, value_name = "TIME")]
    at: Option<crate::time::Timestamp>,
}

impl Arguments {
    /// Verifies and prints the verdicts.
    ///
    /// # Errors
    /// Where the question itself is wrong: arguments, policy, key.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let policies = self.selection.policies(&self.reading, context)?;
        let targets = self.targets()?;
        let in_registry = |target: &ArtifactRef| matches!(target, ArtifactRef::Registry { .. });
        let registries = context.registries(targets.iter().any(in_registry))?;
        let now = self.at.unwrap_or_else(|| context.now());
        let requests: Vec<verify::Request<'_>> = targets
            .iter()
            .map(|artifact| verify::Request {
                reading: gather::Reading {
                    artifact,
                    name: self.name.as_deref(),
                    kind: self.reading.kind.map(Into::into),
                    symlinks: self.reading.symlinks(),
                    bundles: &self.selection.bundles,
                    signature: self.signature.as_ref(),
                    into: None,
                    registries: &registries,
                },
                policies: &policies,
                stage: self.stage,
                now,
                source_of_promotion: false,
                everywhere: false,
                platform: self.platform.as_ref(),
                children: true,
                listed: None,
                named: None,
            })
            .collect();
        let progress = output.bytes_bar("hashing");
        let mut answers = block_on(verify::verify_all(&requests, &progress))?;
        drop(progress);
        if self.targets_file.is_none()
            && answers.len() == 1
            && let Some(answer) = answers.pop()
        {
            let verdict = answer?;
            if output.is_json() {
                output.json(&verdict)?;
            } else {
                verdict::print(&verdict, self.explain, output)?;
            }
            return Ok(verdict.outcome.into());
        }
        self.several(&targets, answers, output)
    }

    /// Everything that is named, in order.
    fn targets(&self) -> Result<Vec<ArtifactRef>, Failure> {
        let mut named = self.artifacts.clone();
        if let Some(file) = &self.targets_file {
            named.extend(select::lines(file)?);
        }
        let refused = |what: &str, hint: &str| Err(Failure::new(Exit::Usage, what).hint(hint));
        if named.len() != 1 && self.name.is_some() {
            return refused(
                "--name is for one artifact, and several were given",
                "verify them one by one, or let each go by its own name",
            );
        }
        if named.len() != 1 && self.signature.is_some() {
            return refused(
                "--signature is about one artifact, and several were given",
                "verify them one by one",
            );
        }
        if named.is_empty() {
            return refused(
                "the file of targets names none, so nothing would be verified",
                "name one artifact on each line",
            );
        }
        named.iter().map(|text| select::artifact(text)).collect()
    }

    fn several(
        &self,
        targets: &[ArtifactRef],
        answers: Vec<Result<Verdict, Failure>>,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let outcome = verify::outcome_of(&answers);
        if output.is_json() {
            let verdicts: Vec<Value> = targets
                .iter()
                .zip(&answers)
                .map(|(target, answer)| match answer {
                    Ok(verdict) => json!(verdict),
                    Err(failure) => json!({
                        "verdict": Outcome::Undetermined.and(outcome_of(failure)),
                        "artifact": { "name": target.to_string() },
                        "error": Output::error(failure),
                    }),
                })
                .collect();
            output.json(&json!({
                "schema": "obreia.verdicts/v1",
                "verdict": outcome,
                "verdicts": verdicts,
            }))?;
        } else {
            for (target, answer) in targets.iter().zip(&answers) {
                match answer {
                    Ok(verdict) => verdict::print(verdict, self.explain, output)?,
                    Err(failure) => {
                        verdict::print_failure(target, failure, outcome_of(failure), output)?;
                    }
                }
            }
            let count = |wanted| {
                let one = |answer: &&Result<_, _>| {
                    verify::outcome_of(std::slice::from_ref(*answer)) == wanted
                };
                answers.iter().filter(one).count()
            };
            output.line(&format!(
                "{} verified: {} allowed, {} denied, {} undetermined",
                super::count(answers.len(), "artifact"),
                count(Outcome::Allowed),
                count(Outcome::Denied),
                count(Outcome::Undetermined),
            ))?;
        }
        // A denial is one, whatever else is wrong.
        if outcome == Outcome::Denied {
            return Ok(outcome.into());
        }
        // What is wrong with the call, and not with an artifact, is told as such.
        let wrong = answers.into_iter().filter_map(Result::err);
        let mut wrong = wrong.filter(|failure| matches!(failure.exit, Exit::Config | Exit::Bug));
        match wrong.next() {
            Some(failure) => Ok(failure.exit),
            None => Ok(outcome.into()),
        }
    }
}

fn outcome_of(failure: &Failure) -> Outcome {
    match failure.exit {
        Exit::Denied => Outcome::Denied,
        _ => Outcome::Undetermined,
    }
}
