use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Context, Output};
use crate::ops::plugin::{self, PROGRAM};
use crate::ops::{Exit, Failure};

/// `obreia plugin`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Let cosign and its like sign with kms://… keys: link obreia as their plugin
    #[command(after_help = "Examples:\n  \
obreia plugin install\n  \
obreia plugin install --dir ~/.local/bin\n  \
cosign sign-blob --key kms://model-sign/prod --bundle f.sigstore.json f\n\n\
The plugin finds obreia.toml as obreia does (OBREIA_CONFIG), and the passphrase in\n\
OBREIA_PASSPHRASE or where obreia.toml says; it asks nobody.")]
    Install(Place),
    /// Take the link away
    #[command(after_help = "Example:\n  obreia plugin uninstall --dir ~/.local/bin")]
    Uninstall(Place),
}

#[derive(Debug, Args)]
struct Place {
    /// A folder of PATH (default: the one that obreia lies in)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Arguments {
    /// Does what the subcommand says.
    ///
    /// # Errors
    /// Where it was not done.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let path = context.environment.get("PATH").unwrap_or_default();
        let program = program(&path)?;
        match self.command {
            Command::Install(place) => {
                let folder = place.folder(&program)?;
                let installed = plugin::install(&program, &folder)?;
                if output.is_json() {
                    output.json(&json!({
                        "schema": "obreia.plugin/v1",
                        "link": installed.link,
                        "program": program,
                        "existed": installed.existed,
                    }))?;
                }
                let verb = match installed.existed {
                    true => "is there already",
                    false => "made",
                };
                output.info(&format!(
                    "{} {verb}: kms://… keys sign in every tool that runs {PROGRAM}",
                    installed.link.display()
                ))?;
                if !std::env::split_paths(&path).any(|entry| entry == folder) {
                    output.warn(&format!(
                        "{} is not in PATH, where cosign looks",
                        folder.display()
                    ));
                }
            }
            Command::Uninstall(place) => {
                let folder = place.folder(&program)?;
                let removed = plugin::uninstall(&program, &folder)?;
                if output.is_json() {
                    output.json(&json!({"schema": "obreia.plugin/v1", "removed": removed}))?;
                }
                output.info(&match removed {
                    true => format!("removed {}", folder.join(PROGRAM).display()),
                    false => format!("there is no {}", folder.join(PROGRAM).display()),
                })?;
            }
        }
        Ok(Exit::Done)
    }
}

impl Place {
    fn folder(self, program: &Path) -> Result<PathBuf, Failure> {
        match self.dir {
            Some(folder) => std::path::absolute(&folder).map_err(|e| unknown(&e)),
            None => Ok(program.parent().unwrap_or(Path::new("/")).to_owned()),
        }
    }
}

/// Where this program is, by the name that it was started under: a package
/// manager's link outlives the file that it leads to.
fn program(path: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|e| unknown(&e))?;
    let name = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    let named = if name.components().count() > 1 {
        std::path::absolute(&name).ok()
    } else {
        std::env::split_paths(path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(&name))
            .find(|candidate| candidate.is_file())
    };
    let same = |named: &PathBuf| named.canonicalize().ok() == own.canonicalize().ok();
    Ok(named.filter(same).unwrap_or(own))
}

fn unknown(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Undetermined, "cannot tell where obreia lies").cause(error)
}
