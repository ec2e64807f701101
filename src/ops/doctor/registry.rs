//! A registry: whether it is reached, what it permits, and what it can do.

use super::{Check, Group, Report};
use crate::crypto::sha256;
use crate::oci::{Descriptor, Document};
use crate::ops::Failure;
use crate::reference::Select;
use crate::source::layout::Resolved;
use crate::source::registry::{Lists, Registries, RegistryFault, Repository};
use crate::time::Timestamp;

/// Which repository is to be looked at.
pub struct Request<'a> {
    /// Host, and port.
    pub host: &'a str,
    /// The repository.
    pub repository: &'a str,
    /// What in it is tried with.
    pub select: &'a Select,
    /// How registries are reached, or why there is no configuration.
    pub registries: Result<&'a Registries, Failure>,
    /// Whether to write: an upload that is given up again, and a manifest that
    /// is there already.
    pub write: bool,
    /// Whether no connection may be opened.
    pub offline: bool,
    /// The present time.
    pub now: Timestamp,
}

/// Looks at a registry. What goes wrong is an answer.
pub async fn examine(request: Request<'_>) -> Report {
    let mut checks = Vec::new();
    look(&request, &mut checks).await;
    Report::new(checks, request.offline, request.now)
}

async fn look(request: &Request<'_>, checks: &mut Vec<Check>) {
    let subject = format!("{}/{}", request.host, request.repository);
    let check = |what| Check::ok(Group::Registry, what, subject.clone());
    let opened = match &request.registries {
        Ok(registries) => registries
            .repository(request.host, request.repository)
            .map_err(Failure::from),
        Err(failure) => Err(failure.clone().code("config-invalid")),
    };
    let at = match opened {
        Ok(at) => at,
        Err(failure) => return checks.push(check("reach").failure(failure)),
    };
    match at.reach().await {
        Ok(reached) => {
            let by = match reached.by {
                Some(by) => format!("let in by {by}"),
                None => "nothing was wanted to be let in".to_owned(),
            };
            let detail = format!("{}, {by}", reached.base);
            let found = check("reach");
            checks.push(match reached.overheard {
                false => found.detail(detail),
                true => found
                    .warns(
                        "no-tls",
                        format!("{detail}; what is sent can be read and changed on the way"),
                    )
                    .hint("leave --plain-http out, or take the host from [registries] plain_http"),
            });
        }
        // Nothing else could be found out.
        Err(fault) => return checks.push(check("reach").failure(fault.into())),
    }
    let there = match image(&at, request.select).await {
        Ok(Some(there)) => {
            let mut detail = there.descriptor.digest.to_string();
            if let Ok(rates) = at.rates(&there.descriptor.digest).await {
                for rate in rates {
                    detail.push_str(", ");
                    detail.push_str(&rate);
                }
            }
            checks.push(check("pull").detail(detail));
            Some(there)
        }
        Ok(None) => {
            let why = "nothing was found there to try with";
            let found = check("pull").warns("nothing-there", why);
            checks.push(found.hint("name an image that is there: HOST/REPOSITORY:TAG"));
            None
        }
        Err(fault) => {
            checks.push(check("pull").failure(fault.into()));
            None
        }
    };
    let of = match &there {
        Some(there) => there.descriptor.digest,
        None => sha256(b"obreia doctor"),
    };
    checks.push(referrers(check("referrers"), at.lists(&of).await));
    let blob = there.as_ref().and_then(blob);
    if let Some(blob) = blob {
        let found = check("parts");
        checks.push(match at.gives_parts(blob).await {
            Ok(true) => found.detail("a download that breaks goes on where it was"),
            Ok(false) => found.warns(
                "whole-blobs-only",
                "it gives blobs whole only: a download that breaks begins anew",
            ),
            Err(fault) => found.failure(fault.into()),
        });
    }
    if request.write {
        writes(&at, there.as_ref(), &check, checks).await;
    }
}

/// What is named; or where nothing is, what is there.
async fn image(at: &Repository, select: &Select) -> Result<Option<Resolved>, RegistryFault> {
    let found = match at.resolve(select).await {
        Err(RegistryFault::NotFound { .. }) => None,
        found => Some(found?),
    };
    if found.is_some() || !matches!(select, Select::Default) {
        return Ok(found);
    }
    // There is no `latest`. Whether tags are listed is up to the registry.
    let tags = at.tags().await.unwrap_or_default();
    match tags.into_iter().next() {
        Some(tag) => Ok(at.resolve(&Select::Tag(tag)).await.ok()),
        None => Ok(None),
    }
}

fn blob(of: &Resolved) -> Option<&Descriptor> {
    let Document::Manifest(manifest) = &of.document else {
        return None;
    };
    let mut all = std::iter::once(&manifest.config).chain(&manifest.layers);
    all.find(|blob| blob.size > 1)
}

fn referrers(check: Check, found: Result<Lists, RegistryFault>) -> Check {
    match found {
        Ok(Lists::Itself { filters }) => check.detail(match filters {
            true => "it lists what is about an image, by kind too",
            false => "it lists what is about an image",
        }),
        Ok(Lists::Fallback) => {
            let why = "it keeps no list of what is about an image: clients keep it under the tag sha256-…";
            check.warns("referrers-fallback", why).hint(
                "let one process at a time attach to an image; --write tells whether the registry keeps writers apart",
            )
        }
        Err(fault) => check.failure(fault.into()),
    }
}

async fn writes(
    at: &Repository,
    there: Option<&Resolved>,
    check: &dyn Fn(&'static str) -> Check,
    checks: &mut Vec<Check>,
) {
    let pieces = match at.takes_pieces().await {
        Ok(pieces) => pieces,
        // Whoever may not begin an upload may write nothing else.
        Err(fault) => return checks.push(check("push").failure(fault.into())),
    };
    checks.push(check("push").detail(match pieces.cancelled {
        true => "an upload was begun, and given up again",
        false => {
            "an upload was begun; the registry does not let it be given up, and drops it by itself"
        }
    }));
    let found = check("chunks");
    checks.push(match (pieces.taken, pieces.told) {
        (true, true) => {
            let least = pieces.least.map(|least| format!(", none but the last under {least} bytes"));
            found.detail(format!(
                "blobs are taken in pieces{}, and go on where a connection broke",
                least.unwrap_or_default()
            ))
        }
        (true, false) => found.warns(
            "no-resume",
            "blobs are taken in pieces, and it does not tell what arrived: an upload that breaks begins anew",
        ),
        (false, _) => found
            .warns("no-chunks", "blobs are not taken in pieces: those over 4 MiB cannot be pushed")
            .hint("push large blobs with another tool"),
    });
    let Some(there) = there else {
        return;
    };
    if let Some(blob) = blob(there) {
        let found = check("mount");
        checks.push(match at.mounts(blob).await {
            Ok(true) => found.detail("a blob that is there in another repository is not sent"),
            Ok(false) => found.warns(
                "no-mount",
                "a blob that is there already is sent again for each repository",
            ),
            Err(fault) => found.failure(fault.into()),
        });
    }
    let found = check("if-match");
    checks.push(match at.conditions(&there.descriptor, &there.bytes).await {
        Ok(tried) if tried.if_match && tried.if_none_match => {
            found.detail("tags and lists are replaced only where nobody changed them meanwhile")
        }
        Ok(_) => {
            let why = "conditions are not honoured: two who move a tag or write a list at the same moment are not kept apart (cas: best-effort)";
            let found = found.warns("no-if-match", why);
            found.hint("let one process at a time promote to a tag, and attach to an image")
        }
        Err(fault) => found.failure(fault.into()),
    });
}
