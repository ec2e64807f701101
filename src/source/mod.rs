//! Where artifacts are: files, directories and OCI layouts.

pub mod layout;
