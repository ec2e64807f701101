//! Against the real parts: what we sign they accept, what they sign we
//! accept, and what one refuses the other refuses too.

pub(crate) mod cosign;
mod model_signing;
mod plugin;
mod providers;

pub(crate) use providers::cosign_verifies;
