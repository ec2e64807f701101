/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpFault {
    /// No connection may be opened.
    #[error("{endpoint} is not asked: offline")]
    Offline {
        /// Scheme, host and port.
        endpoint: String,
    },
    /// Not a URL, or one of another scheme than http and https.
    #[error("{url} is not an http or https address")]
    BadUrl {
        /// The text, without a user name or password.
        url: String,
    },
    /// No connection came about: nothing was sent.
    #[error("{endpoint} cannot be reached: {cause}")]
    Unreachable {
        /// Scheme, host and port.
        endpoint: String,
        /// What the network said.
        cause: String,
    },
    /// The other side's certificate does not prove that it is the one.
    #[error("{endpoint} does not prove who it is: {cause}")]
    Tls {
        /// Scheme, host and port.
        endpoint: String,
        /// What the check said.
        cause: String,
    },
    /// The connection broke after the request was sent: whether it was carried
    /// out is not known.
    #[error("the connection to {endpoint} broke after the request was sent: {cause}")]
    Cut {
        /// Scheme, host and port.
        endpoint: String,
        /// What the network said.
        cause: String,
    },
    /// No whole answer within the deadline.
    #[error("{endpoint} did not answer within {seconds} s")]
    Deadline {
        /// Scheme, host and port.
        endpoint: String,
        /// The deadline.
        seconds: u64,
    },
    /// 429 each time, until the deadline or the last attempt.
    #[error("{endpoint} turns requests away: too many")]
    Throttled {
        /// Scheme, host and port.
        endpoint: String,
    },
    /// The answer is longer than it may be.
    #[error("the answer of {endpoint} is longer than {limit} bytes")]
    TooLarge {
        /// Scheme, host and port.
        endpoint: String,
        /// In bytes.
        limit: u64,
    },
    /// An authority or client certificate that cannot be used.
    #[error("the TLS settings cannot be used: {0}")]
    BadTls(String),
}
