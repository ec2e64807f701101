// An independent reader of the audit log, pinned: Go's own implementation of
// tiles, notes and proofs.
module obreia/peers/tlog

go 1.25.0

require golang.org/x/mod v0.37.0
