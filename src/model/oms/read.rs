//! From a signed statement to a manifest: everything is checked but the signature.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use serde::Deserialize;

use super::error::{ManifestError, short};
use super::{DIGESTS_V01, sharded};
use crate::digest::Digest;
use crate::limits;
use crate::model::manifest::{Method, ModelManifest, Resource};
use crate::model::name::{self, NameError};
use crate::statement::{MODEL_SIGNATURE, Statement};

/// The largest whole number that a protobuf `Value` holds exactly.
const MAX_SHARD_SIZE: u64 = 1 << 53;

#[derive(Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<WireResource>,
}

#[derive(Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    allow_symlinks: bool,
    // model-signing passes it through a protobuf double: 3 becomes 3.0.
    shard_size: Option<f64>,
    #[serde(default)]
    ignore_paths: Vec<String>,
}

#[derive(Deserialize)]
struct WireResource {
    name: String,
    algorithm: String,
    digest: String,
}

impl ModelManifest {
    /// Reads the signed statement. That its signature holds is for the caller to see to.
    ///
    /// # Errors
    /// `ManifestError`: another predicate type; not of the expected shape; an
    /// unknown method or hash; a name that leads out or stands twice; a digest
    /// of the wrong length; pieces with gaps or overlaps; a subject digest
    /// that is not the one over the resources.
    pub fn from_statement(statement: &Statement) -> Result<Self, ManifestError> {
        let manifest = match statement.predicate_type.as_str() {
            MODEL_SIGNATURE => read_v1(statement)?,
            DIGESTS_V01 => read_digests_v01(statement)?,
            other => return Err(ManifestError::PredicateType(short(other))),
        };
        check_resources(&manifest)?;
        Ok(manifest)
    }
}

fn read_v1(statement: &Statement) -> Result<ModelManifest, ManifestError> {
    let [subject] = statement.subject.as_slice() else {
        return Err(ManifestError::Subjects(statement.subject.len()));
    };
    let predicate = Predicate::deserialize(&statement.predicate)
        .map_err(|e| ManifestError::Shape(e.to_string()))?;
    let serialization = predicate.serialization;
    if serialization.hash_type != "sha256" {
        return Err(ManifestError::HashType(short(&serialization.hash_type)));
    }
    let method = match serialization.method.as_str() {
        "files" => Method::Files,
        "shards" => Method::Shards(shard_size(serialization.shard_size)?),
        other => return Err(ManifestError::Method(short(other))),
    };
    let resources = predicate
        .resources
        .iter()
        .map(|resource| read_resource(resource, method))
        .collect::<Result<_, _>>()?;
    let manifest = ModelManifest {
        name: subject.name.clone(),
        method,
        allow_symlinks: serialization.allow_symlinks,
        ignore_paths: serialization.ignore_paths,
        resources,
    };
    let computed = manifest.root_digest().hex();
    match subject.digest.get("sha256") {
        Some(stated) if *stated == computed => Ok(manifest),
        stated => Err(ManifestError::SubjectDigest {
            stated: stated.map_or_else(|| "none".to_owned(), |s| short(s)),
            computed,
        }),
    }
}

fn read_digests_v01(statement: &Statement) -> Result<ModelManifest, ManifestError> {
    let resources = statement
        .subject
        .iter()
        .map(|subject| {
            let digest = subject.digest.get("sha256").map_or("", String::as_str);
            let resource = WireResource {
                name: subject.name.clone(),
                algorithm: "sha256".to_owned(),
                digest: digest.to_owned(),
            };
            read_resource(&resource, Method::Files)
        })
        .collect::<Result<_, _>>()?;
    Ok(ModelManifest {
        name: String::new(),
        method: Method::Files,
        allow_symlinks: false,
        ignore_paths: Vec::new(),
        resources,
    })
}

fn shard_size(stated: Option<f64>) -> Result<NonZeroU64, ManifestError> {
    let size = stated.ok_or(ManifestError::ShardSize)?;
    // A double of that range without fraction converts exactly.
    if !(1.0..=MAX_SHARD_SIZE as f64).contains(&size) || size.fract() != 0.0 {
        return Err(ManifestError::ShardSize);
    }
    NonZeroU64::new(size as u64).ok_or(ManifestError::ShardSize)
}

fn read_resource(wire: &WireResource, method: Method) -> Result<Resource, ManifestError> {
    let expected = match method {
        Method::Files => "sha256".to_owned(),
        Method::Shards(size) => sharded(size),
    };
    if wire.algorithm != expected {
        return Err(ManifestError::Algorithm {
            name: short(&wire.name),
            algorithm: short(&wire.algorithm),
            expected,
        });
    }
    let digest =
        Digest::from_hex("sha256", &wire.digest).map_err(|error| ManifestError::Digest {
            name: short(&wire.name),
            error,
        })?;
    let (path, range) = match method {
        Method::Files => (wire.name.as_str(), None),
        Method::Shards(_) => {
            let (path, range) = split_shard(&wire.name)
                .ok_or_else(|| ManifestError::ShardName(short(&wire.name)))?;
            (path, Some(range))
        }
    };
    if path != name::SINGLE {
        name::check(path).map_err(|error| ManifestError::Name {
            name: short(path),
            error,
        })?;
    }
    Ok(Resource {
        path: path.to_owned(),
        range,
        digest,
    })
}

/// `path:start:end`, where the path has no colon.
fn split_shard(name: &str) -> Option<(&str, (u64, u64))> {
    let mut parts = name.split(':');
    let (path, start, end) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    parts
        .next()
        .is_none()
        .then_some((path, (number(start)?, number(end)?)))
}

fn check_resources(manifest: &ModelManifest) -> Result<(), ManifestError> {
    let resources = &manifest.resources;
    if resources.is_empty() {
        return Err(ManifestError::NoResources);
    }
    if resources.len() > limits::MODEL_FILES {
        return Err(ManifestError::TooMany(resources.len()));
    }
    let paths: BTreeSet<&str> = resources.iter().map(|r| r.path.as_str()).collect();
    if paths.len() > 1 && paths.contains(name::SINGLE) {
        return Err(ManifestError::Name {
            name: name::SINGLE.to_owned(),
            error: NameError::Dot,
        });
    }
    match manifest.method {
        Method::Files if paths.len() < resources.len() => {
            let mut seen = BTreeSet::new();
            let twice = resources.iter().find(|r| !seen.insert(&r.path));
            Err(ManifestError::Duplicate(
                twice.map_or_else(String::new, |r| short(&r.path)),
            ))
        }
        Method::Files => Ok(()),
        Method::Shards(size) => check_shards(resources, size),
    }
}

/// Each file's pieces, in their order: from byte 0, end to end, all of the
/// stated size but the last, which may be shorter and is not empty.
fn check_shards(resources: &[Resource], size: NonZeroU64) -> Result<(), ManifestError> {
    let mut ends: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
    for resource in resources {
        let refuse = || ManifestError::Shards(short(&resource.path));
        let (start, end) = resource.range.ok_or_else(refuse)?;
        let (reached, short_one) = ends.entry(&resource.path).or_insert((0, false));
        let length = end.checked_sub(start).ok_or_else(refuse)?;
        if start != *reached || *short_one || length == 0 || length > size.get() {
            return Err(refuse());
        }
        *reached = end;
        *short_one = length < size.get();
    }
    Ok(())
}
