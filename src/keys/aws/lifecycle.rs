use super::fault::{Asked, note};
use super::{AwsKeys, PROVIDER};
use crate::custody::KeyState;
use crate::keys::{BoxFuture, Described, KeyFault, Lifecycle, Unlock, provenance};
use crate::reference::KeyRef;

impl Lifecycle for AwsKeys {
    fn set_state<'a>(
        &'a self,
        key: &'a KeyRef,
        state: KeyState,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = self.online(key)?;
            let place = self.places.of(&name).await?;
            let metadata = self.metadata(&place, &name).await?;
            // These two actions take no alias.
            let id = metadata.key_id().to_owned();
            let asked = |action| Asked {
                place: &place,
                key: &name.shown,
                action,
            };
            match state {
                KeyState::Enabled => {
                    let sent = place.client.enable_key().key_id(id).send().await;
                    note(&sent);
                    sent.map_err(|e| asked("kms:EnableKey").failed(&e))?;
                }
                KeyState::Disabled => {
                    let sent = place.client.disable_key().key_id(id).send().await;
                    note(&sent);
                    sent.map_err(|e| asked("kms:DisableKey").failed(&e))?;
                }
            }
            provenance::acknowledged(true);
            let (notes, at) = (&self.context.known, self.places.name(&name));
            match state {
                // Verifying asks anew: what is noted says that it may not.
                KeyState::Enabled => notes.doubt(PROVIDER, key, &at),
                KeyState::Disabled => notes.ended(PROVIDER, key, &at),
            }
            let described = self.described(&place, &name, &metadata).await?;
            // The change was acknowledged; AWS may tell of the old state for a while.
            Ok(Described { state, ..described })
        })
    }
}
