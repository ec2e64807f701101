-- The keystore, format 1. Blobs named `sealed` are opaque here.
PRAGMA application_id = 1868722789;

CREATE TABLE head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  format INTEGER NOT NULL,
  keystore TEXT NOT NULL,
  generation INTEGER NOT NULL,
  records INTEGER NOT NULL,
  root BLOB NOT NULL,
  mac BLOB NOT NULL
) STRICT;

CREATE TABLE slots (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  params TEXT NOT NULL,
  sealed BLOB NOT NULL,
  check_digest BLOB NOT NULL
) STRICT;

CREATE TABLE keyrings (
  version INTEGER PRIMARY KEY,
  sealed BLOB NOT NULL
) STRICT;

CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  path TEXT NOT NULL UNIQUE,
  purpose TEXT NOT NULL,
  state TEXT NOT NULL,
  policy TEXT NOT NULL,
  scheme TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
  key TEXT NOT NULL REFERENCES keys (id),
  version INTEGER NOT NULL CHECK (version > 0),
  state TEXT NOT NULL,
  grace_until INTEGER,
  created INTEGER NOT NULL,
  public_key BLOB NOT NULL,
  keyring INTEGER NOT NULL REFERENCES keyrings (version),
  sealed BLOB NOT NULL,
  PRIMARY KEY (key, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE aliases (
  alias TEXT PRIMARY KEY,
  key TEXT NOT NULL REFERENCES keys (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE seals (
  record TEXT PRIMARY KEY,
  digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;
