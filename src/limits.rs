//! How much is read from outside, in one place.
//!
//! Every limit is generous for honest input; input over one is refused by
//! name, with the limit, and never truncated in silence.

/// Largest bundle, envelope or signature file, in bytes.
pub const BUNDLE: u64 = 32 << 20;
/// Largest in-toto statement, in bytes (a model of 100 000 files has about 15 MB).
pub const STATEMENT: u64 = 32 << 20;
/// Largest predicate, SBOM document or other JSON that is parsed as a tree, in bytes.
pub const DOCUMENT: u64 = 64 << 20;
/// Deepest nesting of JSON and YAML.
pub const DEPTH: usize = 96;
/// Largest policy document or Rego module, in bytes.
pub const POLICY: u64 = 1 << 20;
/// Largest configuration file, in bytes.
pub const CONFIG: u64 = 1 << 20;
/// Largest key file, in bytes.
pub const KEY_FILE: u64 = 64 << 10;
/// Largest passphrase file, in bytes.
pub const PASSPHRASE: u64 = 4 << 10;
/// Largest OCI manifest or index, in bytes (registries enforce 4 MiB).
pub const MANIFEST: u64 = 4 << 20;
/// Most entries in one OCI index.
pub const INDEX_ENTRIES: usize = 10_000;
/// Deepest nesting of OCI indexes and referrers of referrers.
pub const INDEX_DEPTH: usize = 8;
/// Most files in one model.
pub const MODEL_FILES: usize = 1_000_000;
/// Deepest folder nesting in one model.
pub const MODEL_DEPTH: usize = 64;
/// Longest path inside a model, in bytes.
pub const MODEL_PATH: usize = 4_096;
/// Most pieces of evidence considered for one artifact.
pub const EVIDENCE: usize = 1_000;
/// Largest blob whose foreign pure-Ed25519 message signature is verified, in
/// bytes: that scheme needs the whole message in memory.
pub const ED25519_MESSAGE: u64 = 64 << 20;
/// Time for one evaluation of a policy's rules, in milliseconds.
pub const RULES_MS: u64 = 2_000;
/// Largest input of a policy's rules, in bytes of JSON (100 000 files of a model are about 15 MB).
pub const RULES_INPUT: u64 = 32 << 20;
