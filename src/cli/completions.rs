use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::{Cli, Output};
use crate::ops::{Exit, Failure};

/// `obreia completions SHELL`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  obreia completions bash > /etc/bash_completion.d/obreia")]
pub struct Arguments {
    /// The shell to write for
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl Arguments {
    /// Writes the completions.
    ///
    /// # Errors
    /// Where standard output cannot be written.
    pub fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "obreia", &mut script);
        output.bytes(&script)?;
        Ok(Exit::Done)
    }
}

/// `obreia man DIR`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  obreia man /usr/share/man/man1")]
pub struct ManArguments {
    /// Folder that receives obreia.1 and one page per command
    dir: PathBuf,
}

impl ManArguments {
    /// Writes the pages.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let cannot = |e| {
            Failure::new(
                Exit::Usage,
                format!("cannot write man pages into {}", self.dir.display()),
            )
            .cause(e)
        };
        std::fs::create_dir_all(&self.dir).map_err(cannot)?;
        clap_mangen::generate_to(Cli::command(), &self.dir).map_err(cannot)?;
        output.info(&format!("man pages written into {}", self.dir.display()))?;
        Ok(Exit::Done)
    }
}
