use std::sync::Arc;

use super::known::{Shown, key_ref};
use super::module::{Module, beside_the_point, object, shown};
use super::pin::Pin;
use super::place::Named;
use super::signer::{Held, TokenSigner};
use super::uri::{Class, Uri};
use super::wire::{Answer, Ask, Token};
use super::{PROVIDER, Pkcs11Keys, read};
use crate::keys::{
    BoxFuture, Capabilities, KeyFault, KeyProvider, KeyReader, Signer, Unlock, Warning, expiry,
};
use crate::reference::KeyRef;
use crate::trust::TrustedKey;

impl KeyReader for Pkcs11Keys {
    fn reads(&self, key: &KeyRef) -> bool {
        matches!(key, KeyRef::Provider { scheme, .. } if scheme == PROVIDER)
    }

    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>> {
        Box::pin(async move {
            let uri = read(key)?;
            if let Some(known) = self.known(&uri)? {
                return Ok(vec![known]);
            }
            let shown = self.shown(key, Named::ByAnybody).await?;
            let place = self.places.of(&uri, Named::ByAnybody)?;
            let known = self.learn(&uri, &place, &shown)?;
            known.trusted(PROVIDER, &key_ref(&uri))
        })
    }
}

impl KeyProvider for Pkcs11Keys {
    fn schemes(&self) -> &'static [&'static str] {
        &[PROVIDER]
    }

    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>> {
        Box::pin(async move {
            let (uri, module) = self.named(key, Named::ByOperator)?;
            let (shown, held) = private(&module, &uri, Pin::From(unlock)).await?;
            self.learn(&uri, &module.place, &shown)?;
            let signer = TokenSigner::new(shown, uri, module, held);
            Ok(Box::new(signer) as Box<dyn Signer>)
        })
    }

    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async move {
            let mut told = Vec::new();
            for place in self.places.all()? {
                let module = self.module(place);
                let tokens = async {
                    let child = module.child().await?;
                    module.tokens(&child).await
                };
                let nothing = Uri::default();
                let tokens = tokens
                    .await
                    .map_err(|fault| module.about(&nothing).fault(fault))?;
                told.extend(tokens.iter().filter_map(tries));
            }
            Ok(told)
        })
    }

    /// Of the private key itself only where its token is logged in to already:
    /// a PIN is not spent on this.
    fn outlook<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async move {
            let (uri, module) = self.named(key, Named::ByOperator)?;
            let ask = |slot| Ask::Private {
                slot,
                object: object(&uri),
            };
            let facts = match module.ask(&uri, Pin::NotWanted, ask).await {
                Ok((_, Answer::Key(facts))) => facts,
                Ok(_) => return Err(module.about(&uri).fault(beside_the_point())),
                // It does not show without a login.
                Err(KeyFault::NoSuchKey(_) | KeyFault::Refused { .. }) => return Ok(Vec::new()),
                Err(fault) => return Err(fault),
            };
            let mut told = Vec::new();
            if facts.leaves == Some(true) {
                told.push(Warning {
                    code: "key-extractable",
                    text:
                        "its material may leave the token (CKA_EXTRACTABLE, or not CKA_SENSITIVE)"
                            .to_owned(),
                });
            }
            let certificate = facts.certificate.as_deref();
            told.extend(expiry::warning(
                "certificate-expires",
                "the certificate that goes with it in the token",
                certificate.and_then(expiry::of_certificate),
                self.context.clock.now(),
                expiry::MONTH,
            ));
            Ok(told)
        })
    }

    fn noted_as(&self, key: &KeyRef) -> Result<Vec<KeyRef>, KeyFault> {
        let (uri, _) = self.named(key, Named::ByOperator)?;
        Ok(vec![key_ref(&uri)])
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            describe: Some(self),
            generate: Some(self),
            ..Capabilities::default()
        }
    }
}

/// How many more wrong PINs a token takes, as far as it says.
fn tries(token: &Token) -> Option<Warning> {
    let (code, state) = match token {
        Token { locked: true, .. } => ("pin-locked", "is locked"),
        Token {
            final_try: true, ..
        } => ("pin-last-try", "has one try left"),
        Token {
            count_low: true, ..
        } => (
            "pin-count-low",
            "was tried in vain since it was last given rightly",
        ),
        _ => return None,
    };
    Some(Warning {
        code,
        text: format!("the PIN of {} {state}", shown(token)),
    })
}

/// Opens a private key: what its token shows of it, and by what to use it.
///
/// # Errors
/// `KeyFault`.
pub(super) async fn private(
    module: &Arc<Module>,
    uri: &Uri,
    pin: Pin<'_>,
) -> Result<(Shown, Held), KeyFault> {
    if matches!(uri.object.class, Some(Class::Public | Class::Certificate)) {
        return Err(KeyFault::OnlyPublic(uri.canonical()));
    }
    let ask = |slot| Ask::Private {
        slot,
        object: object(uri),
    };
    let (found, answer) = module.ask(uri, pin, ask).await?;
    let Answer::Key(facts) = answer else {
        return Err(module.about(uri).fault(beside_the_point()));
    };
    if facts.signs == Some(false) {
        return Err(KeyFault::WrongUsage {
            key: uri.canonical(),
            usage: "other things (CKA_SIGN is false)".to_owned(),
        });
    }
    if facts.asks_each_time {
        return Err(KeyFault::BadRequest {
            key: uri.canonical(),
            why: "it wants its PIN for each signature (CKA_ALWAYS_AUTHENTICATE), which is not supported; use a key without".to_owned(),
        });
    }
    let shown = Shown::new(module, &found, uri, &facts)?;
    let held = Held {
        child: found.child,
        key: facts.key,
    };
    Ok((shown, held))
}
