use super::{Exit, Failure};

/// A command that works between layouts alone, named, so that nobody takes
/// silence for an answer.
pub(super) fn no_registry(name: &str) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("{name} is in a registry, which this command does not reach"),
    )
    .hint("copy it into an OCI layout and name that: oci-layout:DIR:TAG; docs/gaps.md says what is missing")
}
