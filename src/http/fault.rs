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
    /// A header's value holds what cannot stand in a header: a line end, say.
    #[error(
        "the value for the header {name} cannot be sent: it holds a line end or another control character"
    )]
    BadHeader {
        /// The header.
        name: String,
    },
    /// A variable that is to name a proxy and does not.
    #[error("{variable} names no proxy")]
    BadProxy {
        /// The environment variable; its value may hold a password.
        variable: &'static str,
    },
    /// No TLS connection came about, for another reason than the other side's
    /// certificate.
    #[error("no TLS connection to {endpoint} came about: {cause}")]
    Handshake {
        /// Scheme, host and port.
        endpoint: String,
        /// What happened.
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
