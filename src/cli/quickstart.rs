//! `obreia quickstart`: the whole chain, by running the very commands it prints.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use super::output::Style;
use super::{Context, Output};
use crate::durable::{self, Existing};
use crate::ops::{Exit, Failure, quickstart};

/// `obreia quickstart [PATH]`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  obreia quickstart\n  obreia quickstart ~/models/fraud --dir /tmp/try\n\n\
Nothing outside the scratch folder is changed, and nothing is sent anywhere."
)]
pub struct Arguments {
    /// A model: a folder or a file (default: a small one that obreia writes itself)
    path: Option<PathBuf>,
    /// The scratch folder; must not exist yet (default: a new one under the temporary folder)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Only prepare the folder; run its quickstart.sh, or paste the commands
    #[arg(long)]
    prepare_only: bool,
}

impl Arguments {
    /// Runs the chain.
    ///
    /// # Errors
    /// Where a step does not end as it should.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let dir = quickstart::scratch(self.dir.as_deref())?;
        let model = quickstart::prepare(&dir, self.path.as_deref(), context.now())?;
        let steps = quickstart::steps(&model);
        let script = quickstart::script(&steps);
        durable::write(
            &dir.join("quickstart.sh"),
            script.as_bytes(),
            0o755,
            Existing::Replace,
        )?;
        if self.prepare_only {
            output.line(&format!(
                "prepared; now: cd {} && ./quickstart.sh",
                dir.display()
            ))?;
            return Ok(Exit::Done);
        }
        output.info(&format!(
            "Working in {}. Each command below is run as printed; in a folder that --prepare-only made they can be pasted into a shell.\n",
            dir.display()
        ))?;
        let program = std::env::current_exe()
            .map_err(|e| Failure::new(Exit::Undetermined, "cannot find this program").cause(e))?;
        for step in &steps {
            if !step.title.is_empty() {
                let title = output.paint(Style::Bold, &format!("# {}", step.title));
                output.info(&title)?;
            }
            output.info(&format!("$ {}", step.line()))?;
            let code = run(&program, &dir, step, output)?;
            output.info("")?;
            if code != step.exit {
                return Err(Failure::new(
                    Exit::Undetermined,
                    format!(
                        "`{}` ended with {code}, expected {}",
                        step.line(),
                        step.exit
                    ),
                )
                .hint(format!("look into {}", dir.display())));
            }
        }
        output.line(&format!(
            "Done: what was signed was served, and one changed byte was refused. The folder is yours: {}",
            dir.display()
        ))?;
        Ok(Exit::Done)
    }
}

/// Runs one step in `dir` with this very program standing for `obreia`.
fn run(
    program: &Path,
    dir: &Path,
    step: &quickstart::Step,
    output: &mut Output,
) -> Result<i32, Failure> {
    let failed = |e: std::io::Error| {
        Failure::new(Exit::Undetermined, format!("cannot run `{}`", step.line())).cause(e)
    };
    let mut command = match step.words.first().map(String::as_str) {
        Some("obreia") => Command::new(program),
        Some(other) => Command::new(other),
        None => return Ok(0),
    };
    // One file for both, so that what was said first is shown first.
    let mut said = tempfile::tempfile().map_err(failed)?;
    let status = command
        .args(&step.words[1..])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(said.try_clone().map_err(failed)?)
        .stderr(said.try_clone().map_err(failed)?)
        .env_remove("OBREIA_CONFIG")
        .env_remove("OBREIA_PASSPHRASE")
        .status()
        .map_err(failed)?;
    let mut text = Vec::new();
    said.rewind()
        .and_then(|()| said.read_to_end(&mut text))
        .map_err(failed)?;
    for line in String::from_utf8_lossy(&text).lines() {
        output.info(&format!("  {line}"))?;
    }
    Ok(status.code().unwrap_or(-1))
}
