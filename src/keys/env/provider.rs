use super::{EnvKeys, PROVIDER};
use crate::keys::software::SoftwareSigner;
use crate::keys::{BoxFuture, Capabilities, KeyFault, KeyProvider, Signer, Unlock, Warning, file};
use crate::reference::KeyRef;

impl KeyProvider for EnvKeys {
    fn schemes(&self) -> &'static [&'static str] {
        &["env"]
    }

    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>> {
        Box::pin(async move {
            let (shown, pem) = self.text(key)?;
            let private = file::private_of(&shown, &pem, unlock)?;
            Ok(Box::new(SoftwareSigner::bare(PROVIDER, &shown, private)) as Box<dyn Signer>)
        })
    }

    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn is_asked(&self) -> bool {
        false
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities::default()
    }
}
