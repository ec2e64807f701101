//! HTTP as all adapters use it: one pool of connections, TLS that cannot be
//! turned off, bounded answers, deadlines, and retries that know what may be
//! sent twice. With `--offline` no socket is opened.

mod blot;
mod cause;
mod fault;
mod options;
mod origin;
mod proxy;
mod retry;
mod send;

#[cfg(test)]
mod tests;

pub use blot::blot;
pub use cause::{TlsCause, causes, root_cause, tls_cause};
pub use fault::HttpFault;
pub use options::Options;
pub use origin::{is_loopback, is_private, origin};
pub use retry::{Attempt, Next, after};
pub use send::{Client, Incoming, Method, Reply, Request, endpoint};
