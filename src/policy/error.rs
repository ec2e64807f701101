//! Why a policy document is not a policy.

use std::fmt;

use crate::verify::Stage;

/// A place in a policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, as the operator named it.
    pub file: String,
    /// Line, from 1; 0 where it is not known.
    pub line: u64,
    /// Column, from 1; 0 where it is not known.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// Why a document, or what it includes, is not a policy. Exit code 3.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Larger than [`crate::limits::POLICY`].
    #[error("{file}: {found} bytes, a policy has at most {limit}")]
    TooLarge {
        /// The file.
        file: String,
        /// Bytes found.
        found: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Not UTF-8 text.
    #[error("{file}: not UTF-8 text")]
    NotText {
        /// The file.
        file: String,
    },
    /// No document in the file, or too many.
    #[error("{file}: {found} policy documents; 1 to {limit} are accepted")]
    Count {
        /// The file.
        file: String,
        /// Documents found.
        found: usize,
        /// Most documents accepted.
        limit: usize,
    },
    /// Not YAML, a key twice, an unknown key, an anchor, or not of the expected shape.
    #[error("{at}: {detail}")]
    Yaml {
        /// Where.
        at: Place,
        /// What is wrong.
        detail: String,
    },
    /// A field whose value cannot stand.
    #[error("{at}: {field}: {detail}")]
    Field {
        /// Where.
        at: Place,
        /// The field, as a path from the document's root.
        field: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A field that means something this version does not do; ignoring it would weaken the policy.
    #[error("{at}: {field} is not supported by this version: {detail}")]
    Unsupported {
        /// Where.
        at: Place,
        /// The field, as a path from the document's root.
        field: String,
        /// What would be needed.
        detail: String,
    },
    /// A key or a rules file that the document names was not gathered.
    #[error("{at}: {field}: {wanted:?} was not looked up")]
    NotGathered {
        /// Where.
        at: Place,
        /// The field.
        field: String,
        /// The reference.
        wanted: String,
    },
    /// Rules that do not compile.
    #[error("{at}: {field}: the rules in {file} do not compile: {detail}")]
    Rules {
        /// Where the policy names them.
        at: Place,
        /// The field.
        field: String,
        /// The file of rules.
        file: String,
        /// What the compiler says, with the line where it names one.
        detail: String,
    },
    /// `mode: warn` where something runs or is released on the strength of the verdict.
    #[error(
        "policy {policy:?} has mode warn and was asked at stage {stage}, where a warning stops nothing; use mode enforce, or leave {stage} out of its stages"
    )]
    WarnMode {
        /// The policy's name.
        policy: String,
        /// The stage.
        stage: Stage,
    },
    /// Two policies of one name in one run, so that no verdict could say which one spoke.
    #[error("two policies are named {0:?}")]
    SameName(String),
}
