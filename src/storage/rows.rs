/// The one row that seals all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadRow {
    /// The format of the whole keystore.
    pub format: i64,
    /// The keystore's own id.
    pub keystore: String,
    /// Counts changes.
    pub generation: u64,
    /// How many seals there are.
    pub records: u64,
    /// A hash over all seals.
    pub root: Vec<u8>,
    /// A keyed hash over this row.
    pub mac: Vec<u8>,
}

/// One way to the root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRow {
    /// From 1.
    pub id: i64,
    /// `passphrase`.
    pub kind: String,
    /// What the kind needs to know, JSON.
    pub params: String,
    /// The root key, sealed.
    pub sealed: Vec<u8>,
    /// A plain hash of the others: tells damage from a wrong passphrase.
    pub check: Vec<u8>,
}

/// A key that seals records, itself sealed under the root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyringRow {
    /// From 1.
    pub version: i64,
    /// The sealed key.
    pub sealed: Vec<u8>,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// UUID.
    pub id: String,
    /// Canonical path.
    pub path: String,
    /// What it is for.
    pub purpose: String,
    /// Whether it may be used.
    pub state: String,
    /// The key-usage policy that governs it.
    pub policy: String,
    /// The signature scheme.
    pub scheme: String,
    /// Nanoseconds since the epoch.
    pub created: i64,
}

/// A version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// The key.
    pub key: String,
    /// From 1.
    pub version: u32,
    /// What it may do.
    pub state: String,
    /// Nanoseconds since the epoch, where it is in grace.
    pub grace_until: Option<i64>,
    /// Nanoseconds since the epoch.
    pub created: i64,
    /// DER `SubjectPublicKeyInfo`, in clear.
    pub public_key: Vec<u8>,
    /// The keyring version that sealed it.
    pub keyring: i64,
    /// The private key, sealed.
    pub sealed: Vec<u8>,
}

/// Another name of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasRow {
    /// One segment.
    pub alias: String,
    /// The key.
    pub key: String,
}

/// What another row was when it was last written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealRow {
    /// The row's name among all rows.
    pub record: String,
    /// Its hash.
    pub digest: Vec<u8>,
}

/// All rows as of one moment, each list in the order of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The head.
    pub head: HeadRow,
    /// Ways to the root key.
    pub slots: Vec<SlotRow>,
    /// Keys that seal records.
    pub keyrings: Vec<KeyringRow>,
    /// Keys.
    pub keys: Vec<KeyRow>,
    /// Versions.
    pub versions: Vec<VersionRow>,
    /// Aliases.
    pub aliases: Vec<AliasRow>,
    /// Seals.
    pub seals: Vec<SealRow>,
}

/// Rows to be written, new ones and such that replace older ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The next head.
    pub head: HeadRow,
    /// Slots.
    pub slots: Vec<SlotRow>,
    /// Keyrings.
    pub keyrings: Vec<KeyringRow>,
    /// Keys.
    pub keys: Vec<KeyRow>,
    /// Versions.
    pub versions: Vec<VersionRow>,
    /// Aliases.
    pub aliases: Vec<AliasRow>,
    /// The seals of all these.
    pub seals: Vec<SealRow>,
}
