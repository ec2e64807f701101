use super::Pkcs11Keys;
use super::known::Shown;
use super::module::{Found, beside_the_point, object};
use super::pin::Pin;
use super::place::Named;
use super::uri::Uri;
use super::wire::{Answer, Ask, Facts};
use crate::keys::{BoxFuture, DescribeKey, Described, KeyFault};
use crate::reference::KeyRef;

impl Pkcs11Keys {
    /// What a token shows of `key` without a login.
    pub(super) async fn shown(&self, key: &KeyRef, named: Named) -> Result<Shown, KeyFault> {
        let (uri, module) = self.named(key, named)?;
        let ask = |slot| Ask::Public {
            slot,
            object: object(&uri),
        };
        match module.ask(&uri, Pin::NotWanted, ask).await? {
            (found, Answer::Key(facts)) => Shown::new(&module, &found, &uri, &facts),
            _ => Err(module.about(&uri).fault(beside_the_point())),
        }
    }
}

impl DescribeKey for Pkcs11Keys {
    fn describe<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let shown = self.shown(key, Named::ByOperator).await?;
            Ok(shown.described())
        })
    }

    /// The keys of all tokens of all configured modules whose public halves
    /// show without a login.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Described>, KeyFault>> {
        Box::pin(async move {
            let mut listed = Vec::new();
            for place in self.places.all()? {
                let module = self.module(place);
                let nothing = Uri::default();
                let fault = |fault| module.about(&nothing).fault(fault);
                let child = module.child().await.map_err(fault)?;
                for token in module.tokens(&child).await.map_err(fault)? {
                    let ask = Ask::List { slot: token.slot };
                    let asked = child.ask(ask, &[], module.deadline).await;
                    let (Answer::Keys(keys), _) = asked.map_err(fault)? else {
                        return Err(fault(beside_the_point()));
                    };
                    let found = Found {
                        child: child.clone(),
                        token,
                    };
                    for facts in keys {
                        let uri = name(&found, &facts);
                        // One of a kind that is not signed with here is none of ours.
                        if let Ok(shown) = Shown::new(&module, &found, &uri, &facts) {
                            listed.push(shown.described());
                        }
                    }
                }
            }
            listed.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(listed)
        })
    }
}

/// A URI that names the key by all that it has.
fn name(found: &Found, facts: &Facts) -> Uri {
    let mut uri = Uri::default();
    uri.token.label = Some(found.token.label.clone()).filter(|label| !label.is_empty());
    uri.token.serial = Some(found.token.serial.clone()).filter(|serial| !serial.is_empty());
    uri.object.id = Some(facts.id.clone()).filter(|id| !id.is_empty());
    uri.object.label = String::from_utf8(facts.label.clone())
        .ok()
        .filter(|label| !label.is_empty());
    uri
}
