use std::fmt;

/// Who asks, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The face the request came through: `cli`, later `kms`, `gate`, ….
    pub front: &'static str,
    /// How the caller was identified.
    pub method: Method,
    /// The caller's name under that method, such as `uid:1000`.
    pub id: String,
    /// The request's own id where the front gave one; otherwise each
    /// operation gets a new one.
    pub request_id: Option<String>,
}

/// How a caller was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A process of this machine: the operating system says who runs it, and
    /// it proved to know what unlocks the key.
    Local,
}

impl Method {
    /// As text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
        }
    }
}

impl Caller {
    /// The user with that numeric id, at the command line of this machine.
    pub fn local(uid: u32) -> Self {
        Self {
            front: "cli",
            method: Method::Local,
            id: format!("uid:{uid}"),
            request_id: None,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.id)
    }
}
