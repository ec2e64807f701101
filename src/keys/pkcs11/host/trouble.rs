//! What a module answers, told apart by what can be done about it.

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};

use crate::keys::pkcs11::wire::{Trouble, TroubleKind};

pub(super) fn trouble(error: &Error) -> Trouble {
    match error {
        Error::Pkcs11(value, function) => Trouble {
            kind: kind(*value, *function),
            text: format!("C_{function:?}: {}", name(*value)),
        },
        other => told(TroubleKind::Other, other.to_string()),
    }
}

pub(super) fn told(kind: TroubleKind, text: impl Into<String>) -> Trouble {
    Trouble {
        kind,
        text: text.into(),
    }
}

fn kind(value: RvError, function: Function) -> TroubleKind {
    use RvError as R;
    match value {
        R::PinIncorrect | R::PinInvalid | R::PinLenRange | R::PinExpired => TroubleKind::Pin,
        R::UserPinNotInitialized => TroubleKind::Pin,
        R::PinLocked => TroubleKind::PinLocked,
        R::TokenNotPresent | R::TokenNotRecognized | R::DeviceRemoved | R::SlotIdInvalid => {
            TroubleKind::Absent
        }
        // What was said to a session that is no more, or to a device that
        // slept: modules use all of these for it.
        R::SessionHandleInvalid
        | R::SessionClosed
        | R::UserNotLoggedIn
        | R::KeyHandleInvalid
        | R::ObjectHandleInvalid
        | R::CryptokiNotInitialized
        | R::OperationActive
        | R::OperationNotInitialized
        | R::DeviceError
        | R::GeneralError
        | R::FunctionFailed => TroubleKind::Lost,
        R::MechanismInvalid
        | R::MechanismParamInvalid
        | R::KeyTypeInconsistent
        | R::KeySizeRange
        | R::CurveNotSupported
        | R::DomainParamsInvalid
        | R::FunctionNotSupported
        | R::DataLenRange => TroubleKind::Mechanism,
        // A key that must not be used so, which another mechanism may.
        R::KeyFunctionNotPermitted if matches!(function, Function::SignInit) => {
            TroubleKind::Mechanism
        }
        R::KeyFunctionNotPermitted
        | R::ActionProhibited
        | R::FunctionRejected
        | R::TokenWriteProtected
        | R::SessionReadOnly
        | R::AttributeValueInvalid
        | R::TemplateInconsistent => TroubleKind::NotPermitted,
        _ => TroubleKind::Other,
    }
}

/// As the specification spells it: `CKR_PIN_INCORRECT`.
fn name(value: RvError) -> String {
    if let RvError::VendorDefined(code) | RvError::UnknownErrorCode(code) = value {
        return format!("0x{code:x}");
    }
    let mut name = String::from("CKR");
    for character in format!("{value:?}").chars() {
        if character.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(character.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_names_of_the_specification() {
        for (value, spelled) in [
            (RvError::PinIncorrect, "CKR_PIN_INCORRECT"),
            (RvError::SessionHandleInvalid, "CKR_SESSION_HANDLE_INVALID"),
            (RvError::VendorDefined(0x8000_0001), "0x80000001"),
        ] {
            assert_eq!(name(value), spelled);
        }
        let error = Error::Pkcs11(RvError::DeviceError, Function::Sign);
        assert_eq!(
            trouble(&error),
            told(TroubleKind::Lost, "C_Sign: CKR_DEVICE_ERROR")
        );
    }
}
