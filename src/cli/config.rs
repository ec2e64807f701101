use clap::{Args, Subcommand};
use serde_json::json;

use super::{Context, Output};
use crate::config::candidates;
use crate::ops::{Exit, Failure};

/// `obreia config`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the configuration in force
    #[command(after_help = "Example:\n  obreia config show --origin")]
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
}

impl Arguments {
    /// Shows the configuration.
    ///
    /// # Errors
    /// Where it is invalid.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let Command::Show { origin } = self.command;
        let config = context.config()?;
        let source = match &config.file {
            Some(file) => file.display().to_string(),
            None => "default".to_owned(),
        };
        if output.is_json() {
            output.json(&json!({
                "schema": "obreia.config/v1",
                "origin": source,
                "state": config.state,
                "keystore": config.keystore,
                "policy": config.policy,
                "keys": config.keys,
            }))?;
            return Ok(Exit::Done);
        }
        let suffix = if origin {
            format!("   # {source}")
        } else {
            String::new()
        };
        match &config.state.dir {
            Some(dir) => output.line(&format!(
                "state.dir = {:?}{suffix}",
                dir.display().to_string()
            ))?,
            None => {
                output.line("no obreia.toml was found; looked for, in this order:")?;
                for place in candidates(&context.environment) {
                    output.line(&format!("  {}", place.display()))?;
                }
            }
        }
        for file in &config.policy.files {
            output.line(&format!(
                "policy.files += {:?}{suffix}",
                file.display().to_string()
            ))?;
        }
        if let Some(passphrase) = &config.keystore.passphrase {
            output.line(&format!("keystore.passphrase = {passphrase:?}{suffix}"))?;
        }
        for rule in config.keys.rules.all() {
            output.line(&format!(
                "keys.rule += {:?} to {:?}   # {}",
                rule.matches(),
                rule.to(),
                rule.place()
            ))?;
        }
        for (alias, path) in config.keys.aliases.all() {
            output.line(&format!("keys.alias.{alias} = \"kms://{path}\"{suffix}"))?;
        }
        Ok(Exit::Done)
    }
}
