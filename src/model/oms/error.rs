use crate::digest::DigestError;
use crate::limits;
use crate::model::name::NameError;
use crate::statement::MODEL_SIGNATURE;

/// As much of an untrusted text as an error repeats.
pub(super) fn short(text: &str) -> String {
    text.chars().take(128).collect()
}

/// Why there is no readable model manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not a model signature.
    #[error("predicate type {0:?} is not a model signature ({MODEL_SIGNATURE})")]
    PredicateType(String),
    /// A model signature has one subject.
    #[error("the model signature has {0} subjects, exactly one is accepted")]
    Subjects(usize),
    /// Not of the expected shape.
    #[error("the model signature's predicate is not of its form: {0}")]
    Shape(String),
    /// Neither files nor shards.
    #[error("serialization method {0:?} is not \"files\" or \"shards\"")]
    Method(String),
    /// A hash that is not computed.
    #[error("hash_type {0:?} is not supported; sign the model with sha256")]
    HashType(String),
    /// No shard size, or not a whole positive number.
    #[error("shard_size is not a whole number of bytes from 1 to 2^53")]
    ShardSize,
    /// A resource's algorithm is not the manifest's.
    #[error("resource {name:?} has algorithm {algorithm:?}, expected {expected:?}")]
    Algorithm {
        /// The resource.
        name: String,
        /// What it states.
        algorithm: String,
        /// What the manifest's method asks for.
        expected: String,
    },
    /// A resource's digest is not one.
    #[error("resource {name:?}: {error}")]
    Digest {
        /// The resource.
        name: String,
        /// What is wrong.
        error: DigestError,
    },
    /// A name that leads out of the model or has two readings.
    #[error("resource name {name:?} is refused: {error}")]
    Name {
        /// The resource.
        name: String,
        /// What is wrong.
        error: NameError,
    },
    /// Not `path:start:end`.
    #[error("resource name {0:?} is not path:start:end")]
    ShardName(String),
    /// Pieces with gaps or overlaps, or of another size than stated.
    #[error("the pieces of {0:?} do not lie end to end in pieces of shard_size")]
    Shards(String),
    /// The same name twice.
    #[error("resource {0:?} stands twice")]
    Duplicate(String),
    /// Over the limit.
    #[error("the model signature lists {0} resources, the limit is {limit}", limit = limits::MODEL_FILES)]
    TooMany(usize),
    /// Nothing is covered.
    #[error("the model has no file that a signature would cover")]
    NoResources,
    /// The subject is not the digest of the resources.
    #[error("the subject digest is {stated}, the resources listed make {computed}")]
    SubjectDigest {
        /// What the statement states.
        stated: String,
        /// What its resources make.
        computed: String,
    },
    /// A file that was not hashed in the way that the method needs.
    #[error("file {0:?} was not hashed in the way that the method needs")]
    NotHashed(String),
    /// The shards method has no resource for an empty file.
    #[error("file {0:?} is empty, and the shards method cannot cover it; use the files method")]
    EmptyFile(String),
    /// The shards method cannot name a file with a colon.
    #[error(
        "file name {0:?} has a colon, which the shards method cannot express; use the files method"
    )]
    Colon(String),
}
