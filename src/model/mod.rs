//! Models: what their files really are, how they are described and signed.

pub mod format;
