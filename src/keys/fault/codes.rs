use super::{FaultClass, KeyFault};

impl KeyFault {
    /// Every code with its class: what `docs/keys.md` lists. The audit log has
    /// codes of its own, which begin with `audit-`.
    pub const CODES: [(&'static str, FaultClass); 35] = [
        ("bad-key-file", FaultClass::Usage),
        ("bad-request", FaultClass::Usage),
        ("busy", FaultClass::Unavailable),
        ("damaged", FaultClass::Config),
        ("deadline", FaultClass::Unavailable),
        ("denied", FaultClass::NotPermitted),
        ("disabled", FaultClass::NotPermitted),
        ("exists", FaultClass::Usage),
        ("kms-login", FaultClass::NotPermitted),
        ("kms-refused", FaultClass::NotPermitted),
        ("kms-sealed", FaultClass::Unavailable),
        ("kms-throttled", FaultClass::Unavailable),
        ("kms-tls", FaultClass::Unavailable),
        ("kms-unreachable", FaultClass::Unavailable),
        ("no-keystore", FaultClass::Config),
        ("no-passphrase", FaultClass::Usage),
        ("no-provider", FaultClass::Config),
        ("no-such-key", FaultClass::Config),
        ("no-token", FaultClass::Unavailable),
        ("not-compiled", FaultClass::Config),
        ("not-configured", FaultClass::Config),
        ("not-shown", FaultClass::Unavailable),
        ("offline", FaultClass::Unavailable),
        ("pending-deletion", FaultClass::NotPermitted),
        ("pin-locked", FaultClass::NotPermitted),
        ("plugin-failed", FaultClass::Unavailable),
        ("provider-failed", FaultClass::Unavailable),
        ("public-key-changed", FaultClass::Unavailable),
        ("retired", FaultClass::Config),
        ("self-check-failed", FaultClass::Unavailable),
        ("unavailable", FaultClass::Unavailable),
        ("unsupported", FaultClass::Usage),
        ("wrong-algorithm", FaultClass::Usage),
        ("wrong-passphrase", FaultClass::NotPermitted),
        ("wrong-usage", FaultClass::NotPermitted),
    ];
}
