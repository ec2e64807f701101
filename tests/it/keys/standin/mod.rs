//! A stand-in for a cloud's key service: HTTP on a loopback port, every request
//! held against what the vendor published of the API, and faults on demand.

mod description;
pub(crate) mod server;

pub(crate) use description::Description;
pub(crate) use server::{Answer, Call, Server};
