use super::fault::bad_uri;
use super::known::Shown;
use super::module::{Found, beside_the_point, fits, object};
use super::pin::Pin;
use super::place::Named;
use super::uri::{ObjectName, TokenName, Uri};
use super::wire::{Answer, Ask, Facts};
use super::{Pkcs11Keys, read};
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
        Box::pin(async move { self.listed(&Uri::default()).await })
    }

    /// `pkcs11:token=…`: what RFC 7512 says of a token, its slot and its
    /// library, and by which module it is reached.
    fn list_in<'a>(&'a self, place: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Described>, KeyFault>> {
        Box::pin(async move {
            let uri = read(place)?;
            if uri.object != ObjectName::default() {
                return Err(bad_uri(
                    &place.to_string(),
                    "what is listed is a token's: name the token and no object in it",
                ));
            }
            self.listed(&uri).await
        })
    }
}

impl Pkcs11Keys {
    async fn listed(&self, wanted: &Uri) -> Result<Vec<Described>, KeyFault> {
        let places = match &wanted.module {
            Some(_) => vec![self.places.of(wanted, Named::ByOperator)?],
            None => self.places.all()?,
        };
        let mut listed = Vec::new();
        let mut tokens = 0;
        for place in places {
            let module = self.module(place);
            let fault = |fault| module.about(wanted).fault(fault);
            let child = module.child().await.map_err(fault)?;
            for token in module.tokens(&child).await.map_err(fault)? {
                if !fits(&wanted.token, &token, child.library()) {
                    continue;
                }
                tokens += 1;
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
        if tokens == 0 && wanted.token != TokenName::default() {
            return Err(KeyFault::NoToken {
                token: wanted.token_shown(),
                cause: "no module shows it".to_owned(),
            });
        }
        listed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(listed)
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
