use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a decision is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Before an artifact reaches production.
    Promotion,
    /// Before a process starts.
    Startup,
    /// When a cluster admits a workload.
    Admission,
    /// When a request passes.
    Gateway,
    /// By hand.
    Manual,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 5] = [
        Self::Promotion,
        Self::Startup,
        Self::Admission,
        Self::Gateway,
        Self::Manual,
    ];

    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promotion => "promotion",
            Self::Startup => "startup",
            Self::Admission => "admission",
            Self::Gateway => "gateway",
            Self::Manual => "manual",
        }
    }

    /// Whether something runs or is released on the strength of this decision,
    /// so that unsigned files are denied and a warning is not enough.
    pub const fn is_enforcing(self) -> bool {
        matches!(self, Self::Promotion | Self::Startup)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.as_str() == s)
            .ok_or_else(|| {
                format!("{s:?} is not a stage: promotion, startup, admission, gateway or manual")
            })
    }
}
