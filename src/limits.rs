//! How much is read from outside, in one place.
//!
//! Every limit is generous for honest input; input over one is refused by
//! name, with the limit, and never truncated in silence.

/// Largest bundle, envelope or signature file, in bytes.
pub const BUNDLE: u64 = 32 << 20;
/// Largest simple-signing payload of cosign's, in bytes (those without notes have about 250).
pub const SIMPLE_SIGNING: u64 = 256 << 10;
/// Largest Notation envelope, in bytes (one with four certificates and a timestamp has about 20 KB).
pub const NOTATION: u64 = 1 << 20;
/// Most headers of a COSE envelope, protected or not (Notation's have 8 at most).
pub const COSE_HEADERS: usize = 64;
/// Largest certificate, in bytes.
pub const CERTIFICATE: usize = 16 << 10;
/// Most certificates from a signer's own to its root (RFC 5280 calls this a path).
pub const CHAIN: usize = 8;
/// Most attributes of a certificate's subject or issuer.
pub const NAME: usize = 64;
/// Most attributes in one part of such a name (nearly always one).
pub const NAME_PART: usize = 8;
/// Most certificates in one timestamp (those of services in use have three).
pub const TIMESTAMP_CERTIFICATES: usize = 8;
/// Largest timestamp token, in bytes.
pub const TIMESTAMP: usize = 128 << 10;
/// Largest file of trusted certificates, in bytes.
pub const CERTIFICATE_FILE: u64 = 1 << 20;
/// Most certificates that one authority trusts, and most files in a folder of them.
pub const TRUSTED_CERTIFICATES: usize = 1_000;
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
/// Most rules in `[keys]`.
pub const KEY_RULES: usize = 1_000;
/// Largest passphrase file, in bytes.
pub const PASSPHRASE: u64 = 4 << 10;
/// Largest answer of a key service, in bytes: a key with thousands of versions.
pub const KEY_SERVICE: u64 = 4 << 20;
/// Most keys of a key service that are listed, one request each.
pub const KEYS_LISTED: usize = 1_000;
/// Largest Kubernetes secret as JSON, in bytes (its data are 1 MiB at most).
pub const KUBERNETES_SECRET: u64 = 2 << 20;
/// Largest answer of a credential helper of registries, in bytes: tokens of
/// clouds have a few thousand.
pub const HELPER_ANSWER: usize = 64 << 10;
/// Largest answer of a plugin, in bytes.
pub const PLUGIN_ANSWER: usize = 64 << 10;
/// Most of what a plugin says on standard error that is passed on, in bytes.
pub const PLUGIN_WORDS: usize = 64 << 10;
/// Largest request to us as a plugin, in bytes.
pub const PLUGIN_REQUEST: u64 = 64 << 10;
/// Longest name of a key that is given to a plugin, in bytes.
pub const PLUGIN_KEY: usize = 4 << 10;
/// Largest OCI manifest or index, in bytes (registries enforce 4 MiB).
pub const MANIFEST: u64 = 4 << 20;
/// Most of what a registry says beside manifests and blobs that is read, in bytes.
pub const REGISTRY_WORDS: u64 = 64 << 10;
/// Slowest that a blob may come from a registry, in bytes per second, once that
/// took a minute.
pub const BLOB_PACE: u64 = 32 << 10;
/// Largest `index.json` of an OCI layout, in bytes.
pub const LAYOUT_INDEX: u64 = 16 << 20;
/// Most entries in one OCI index, and most layers in one manifest.
pub const INDEX_ENTRIES: usize = 10_000;
/// Most images below one index that are verified each by itself.
pub const CHILDREN: usize = 256;
/// Most artifacts that one call verifies.
pub const TARGETS: usize = 10_000;
/// Largest file that names artifacts, in bytes.
pub const TARGETS_FILE: u64 = 8 << 20;
/// Most blobs and manifests in the closure of one image.
pub const CLOSURE: usize = 200_000;
/// Most bytes of manifests and indexes in the closure of one image.
pub const CLOSURE_BYTES: u64 = 512 << 20;
/// Deepest nesting of OCI indexes and referrers of referrers.
pub const INDEX_DEPTH: usize = 8;
/// Most files in one model.
pub const MODEL_FILES: usize = 1_000_000;
/// Most sizes of shards that one model's signatures may ask to be hashed.
pub const SHARD_SIZES: usize = 4;
/// Deepest folder nesting in one model.
pub const MODEL_DEPTH: usize = 64;
/// Longest path inside a model, in bytes.
pub const MODEL_PATH: usize = 4_096;
/// Most pieces of evidence considered for one artifact.
pub const EVIDENCE: usize = 1_000;
/// Most bytes of evidence considered for one artifact, together.
pub const EVIDENCE_BYTES: u64 = 128 << 20;
/// Largest blob whose foreign pure-Ed25519 message signature is verified, in
/// bytes: that scheme needs the whole message in memory.
pub const ED25519_MESSAGE: u64 = 64 << 20;
/// Time for one evaluation of a policy's rules, in milliseconds.
pub const RULES_MS: u64 = 2_000;
/// Largest input of a policy's rules, in bytes of JSON (100 000 files of a model are about 15 MB).
pub const RULES_INPUT: u64 = 32 << 20;
/// Most steps (reads of a field) in looking at one file's formats; 20 million take about a second.
pub const FORMAT_STEPS: u64 = 20_000_000;
/// Deepest nesting of archives that is looked into.
pub const FORMAT_DEPTH: usize = 4;
/// Most formats reported for one file.
pub const FORMAT_FACTS: usize = 512;
/// Most reasons, flaws or names listed for one format.
pub const FORMAT_MARKS: usize = 64;
/// Longest text from a file's header that is kept, in characters.
pub const FORMAT_TEXT: usize = 256;
/// Most members of an archive that are looked into.
pub const ARCHIVE_MEMBERS: u64 = 100_000;
/// Most bytes decompressed in looking at one file's formats.
pub const INFLATED: u64 = 16 << 20;
/// Largest safetensors header, in bytes.
pub const SAFETENSORS_HEADER: u64 = 32 << 20;
/// Most opcodes of a pickle that are looked at.
pub const PICKLE_OPCODES: u64 = 2_000_000;
/// Deepest stack of a pickle.
pub const PICKLE_STACK: usize = 100_000;
/// Most bytes of an HDF5 file that are searched.
pub const HDF5_SCAN: u64 = 2 << 30;
/// Longest URI of a key, in bytes.
pub const KEY_URI: usize = 4_096;
/// Largest request to the process that holds a PKCS#11 module, in bytes: an
/// Ed25519 key signs whole statements.
pub const MODULE_REQUEST: usize = 33 << 20;
/// Largest reply of the process that holds a PKCS#11 module, in bytes.
pub const MODULE_REPLY: usize = 1 << 20;
/// Most calls that a PKCS#11 module has at once.
pub const MODULE_THREADS: usize = 64;
/// Most keys of one token that are listed, and that one process holds open.
pub const TOKEN_KEYS: usize = 1_000;
/// Most versions of one key at another provider that are looked at.
pub const KEY_VERSIONS: usize = 500;
