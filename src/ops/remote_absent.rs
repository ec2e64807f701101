//! Without a client for registries: each is refused by name.

use super::Failure;
use super::gather::{Gathered, Reading};
use super::tree::Branch;
use crate::digest::Digest;
use crate::oci::{Descriptor, Platform};
use crate::policy::Policy;
use crate::reference::Select;
use crate::source::Progress;
use crate::source::registry::{Registries, RegistryFault};
use crate::verify::Verdict;

/// An image's name in a registry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) host: &'a str,
    pub(super) repository: &'a str,
    pub(super) select: &'a Select,
}

/// What was not read of an artifact: there is none such.
#[derive(Debug)]
pub enum Unread {}

impl Unread {
    pub(super) async fn below(&self, _certain: bool) -> Result<Option<Vec<Descriptor>>, Failure> {
        match *self {}
    }
}

pub(super) async fn index(
    named: Named<'_>,
    _registries: &Registries,
) -> Result<(Digest, Option<Vec<Descriptor>>), Failure> {
    Err(absent(named))
}

pub(super) async fn platform(
    named: Named<'_>,
    _registries: &Registries,
) -> Result<Option<Platform>, Failure> {
    Err(absent(named))
}

pub(super) async fn glance(
    named: Named<'_>,
    _name: String,
    _reading: &Reading<'_>,
    _signatures: bool,
    _listed: Option<&Descriptor>,
) -> Result<Gathered, Failure> {
    Err(absent(named))
}

pub(super) async fn complete(
    unread: Unread,
    _glanced: Gathered,
    _policies: &[Policy],
    _progress: &dyn Progress,
) -> Result<Gathered, Failure> {
    match unread {}
}

pub(super) async fn gather(
    named: Named<'_>,
    _name: String,
    _reading: &Reading<'_>,
    _policies: &[Policy],
    _progress: &dyn Progress,
) -> Result<Gathered, Failure> {
    Err(absent(named))
}

pub(super) async fn tree(
    named: Named<'_>,
    _registries: &Registries,
    _verdict: Option<&Verdict>,
) -> Result<Branch, Failure> {
    Err(absent(named))
}

pub(super) async fn bundle(named: Named<'_>, _registries: &Registries) -> Result<Vec<u8>, Failure> {
    Err(absent(named))
}

fn absent(named: Named<'_>) -> Failure {
    RegistryFault::NotBuilt {
        host: format!("{}/{}{}", named.host, named.repository, named.select),
    }
    .into()
}
