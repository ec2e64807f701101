//! What registries say, as a person reads it.

use super::{Exit, Failure};
use crate::source::registry::{Class, RegistryFault, TlsTrouble};
use crate::verify::ReasonCode;

impl From<RegistryFault> for Failure {
    fn from(fault: RegistryFault) -> Self {
        use RegistryFault as F;

        let (exit, code) = match fault.class() {
            Class::Absent => (Exit::Usage, Some(ReasonCode::ArtifactUnreadable)),
            Class::Denied => (Exit::NotPermitted, Some(ReasonCode::RegistryDenied)),
            Class::Unreachable => (Exit::Undetermined, Some(ReasonCode::RegistryUnreachable)),
            Class::Malformed => (Exit::Undetermined, Some(ReasonCode::RegistryMalformed)),
            Class::Limit => (Exit::Usage, Some(ReasonCode::LimitExceeded)),
            Class::Usage => (Exit::Usage, None),
        };
        let exit = match &fault {
            F::Offline { .. } => Exit::Undetermined,
            F::Settings(_) | F::Credentials { .. } => Exit::Config,
            // What is not given to us may still be there.
            F::Refused { .. } if fault.is_of_reading() => Exit::Undetermined,
            _ => exit,
        };
        let code = match fault.is_of_reading() {
            true => Some(ReasonCode::RegistryMalformed),
            false => code,
        };
        let hint = match &fault {
            F::Offline { .. } => "leave --offline out, or name a copy: oci-layout:DIR:TAG",
            F::NotBuilt { .. } => {
                "use the full build, or copy it into an OCI layout: oci-layout:DIR:TAG"
            }
            F::NotFound { .. } => {
                "check the name and the tag; some registries say so of what they do not show to you"
            }
            F::Denied { .. } => {
                "log in (docker login), or name credentials with --registry-auth FILE"
            }
            F::Unreachable { .. } => "try again; nothing was decided on what could not be asked",
            F::Tls { trouble, .. } => match trouble {
                TlsTrouble::Certificate => {
                    "if it is yours, name its authority's certificate: [registries] authorities = [\"ca.pem\"]"
                }
                TlsTrouble::Handshake => {
                    "if it speaks no TLS, say --plain-http HOST; if it wants a client certificate, name one: [registries.client.\"HOST\"]"
                }
                TlsTrouble::Wanted => {
                    "leave --plain-http out; a registry on this machine is listed under [registries] tls"
                }
            },
            F::Wrong { .. } => "whoever put it there put something else than its descriptor says",
            F::Malformed { .. } => {
                "try again; if it stays so, the registry or something before it is broken"
            }
            F::Refused { .. } => "the registry's words say what it does not take",
            F::Helper { .. } => {
                "unlock or repair the credential helper, or name a file with --registry-auth FILE"
            }
            F::Credentials { .. } => {
                "correct the file or the credential helper, or name another with --registry-auth FILE"
            }
            F::Settings(_) => "docs/configuration.md lists every key",
            F::TooMuch { .. } => "the limit keeps hostile input from filling the memory",
        };
        Self {
            code: code.map(ReasonCode::as_str),
            ..Self::new(exit, "cannot use the registry")
                .cause(fault)
                .hint(hint)
        }
    }
}
