use std::fmt;

use crate::config::ConfigError;
use crate::durable::FileError;
use crate::reference::RefError;
use crate::verify::Outcome;

/// How a command ends: `docs/exit-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done, or allowed.
    Done,
    /// Denied.
    Denied,
    /// The command line or its input is wrong.
    Usage,
    /// Configuration, policy or trust root is invalid.
    Config,
    /// Could not decide or could not do; trying again may help.
    Undetermined,
    /// Not permitted by the key's provider, the registry or the key-usage policy.
    NotPermitted,
    /// A bug in obreia.
    Bug,
}

impl Exit {
    /// The process exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Denied => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Undetermined => 4,
            Self::NotPermitted => 5,
            Self::Bug => 70,
        }
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Allowed => Self::Done,
            Outcome::Denied => Self::Denied,
            Outcome::Undetermined => Self::Undetermined,
        }
    }
}

/// Why something was not done, as a person reads it: what, why, what next.
///
/// Lower layers have closed error enums of their own; this is where they meet
/// an exit code and a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// A stable code for scripts, where there is one.
    pub code: Option<&'static str>,
    /// What failed, naming the input.
    pub what: String,
    /// Why.
    pub cause: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without cause and hint.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            code: None,
            what: what.into(),
            cause: None,
            hint: None,
        }
    }

    /// The same with a stable code.
    #[must_use]
    pub const fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The same with why.
    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// The same with what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Failure {
    /// A file that is not there is a wrong argument; one that cannot be read
    /// or written just now may be tomorrow.
    pub(super) fn exit_of_file(error: &FileError) -> Exit {
        match error {
            FileError::Io { .. } if !error.is_not_found() => Exit::Undetermined,
            _ => Exit::Usage,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<RefError> for Failure {
    fn from(error: RefError) -> Self {
        let hint = match &error {
            RefError::Unknown(text) => Some(format!(
                "write ./{text} for a path, oci-layout:{text} for an image layout, or registry.example/{text} for a registry"
            )),
            _ => None,
        };
        Self {
            exit: Exit::Usage,
            code: None,
            what: "cannot read the name".to_owned(),
            cause: Some(error.to_string()),
            hint,
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let hint = match &error {
            FileError::Exists(_) => Some("choose another name, or add --force to replace it"),
            FileError::NotAFile(_) => Some("name a regular file"),
            FileError::TooLarge { .. } => {
                Some("the limit keeps hostile input from filling the memory")
            }
            FileError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space; nothing was left half written")
            }
            FileError::Io { .. } => None,
        };
        Self {
            exit: Self::exit_of_file(&error),
            code: None,
            what: "cannot use the file".to_owned(),
            cause: Some(error.to_string()),
            hint: hint.map(ToOwned::to_owned),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Config, "no usable configuration")
            .hint(error.hint())
            .cause(error)
    }
}
