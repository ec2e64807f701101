//! What keys refuse, as a person reads it.

use super::{Exit, Failure};
use crate::keys::{FaultClass, KeyFault};

impl From<KeyFault> for Failure {
    fn from(fault: KeyFault) -> Self {
        let exit = match fault.class() {
            FaultClass::Usage => Exit::Usage,
            FaultClass::Config => Exit::Config,
            FaultClass::Unavailable => Exit::Undetermined,
            FaultClass::NotPermitted => Exit::NotPermitted,
        };
        Self {
            hint: fault.hint().map(ToOwned::to_owned),
            ..Self::new(exit, "cannot use the key")
                .code(fault.code())
                .cause(&fault)
        }
    }
}
