use serde::Deserialize;

use super::call::Call;
use super::name::{Name, is_name};
use super::transit::Shown;
use super::{PROVIDER, SCHEMES, VaultKeys, Vaults};
use crate::http::Method;
use crate::keys::{BoxFuture, DescribeKey, Described, KeyFault};
use crate::limits;
use crate::reference::KeyRef;

impl DescribeKey for VaultKeys {
    fn describe<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let shown = self.0.look(&name).await?;
            self.0.described(&name, &shown)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Described>, KeyFault>> {
        Box::pin(async move { self.0.list(&Name::any(SCHEMES[0])).await })
    }

    /// `openbao://MOUNT/`, and `?namespace=…`.
    fn list_in<'a>(&'a self, place: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Described>, KeyFault>> {
        Box::pin(async move { self.0.list(&Name::of_mount(place)?).await })
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Names,
}

#[derive(Deserialize)]
struct Names {
    keys: Vec<String>,
}

impl Vaults {
    /// The key for people, once it is noted.
    pub(super) fn described(&self, name: &Name, shown: &Shown) -> Result<Described, KeyFault> {
        let known = self.remember(name, shown)?;
        shown.described(known.id, name.shown.clone())
    }

    /// The signing keys of one mount.
    async fn list(&self, mount: &Name) -> Result<Vec<Described>, KeyFault> {
        let call = Call {
            method: Method::Get,
            path: "keys?list=true".to_owned(),
            body: None,
            repeatable: true,
            key: mount,
        };
        let names = match self.ask::<Answer>(&call).await {
            Ok(answer) => answer.data.keys,
            // What an engine without keys answers.
            Err(KeyFault::NoSuchKey(_)) => Vec::new(),
            Err(fault) => return Err(fault),
        };
        if names.len() > limits::KEYS_LISTED {
            return Err(KeyFault::Provider {
                provider: PROVIDER,
                cause: format!(
                    "it has {} keys, and at most {} are listed",
                    names.len(),
                    limits::KEYS_LISTED
                ),
            });
        }
        let mut keys = Vec::new();
        // What ends with a slash is a folder, which no key can be named by.
        for name in names.iter().filter(|name| is_name(name)) {
            let name = Name::parse(&mount.in_it(name))?;
            match self.look(&name).await {
                Ok(shown) => keys.push(self.described(&name, &shown)?),
                // No key to sign with, or gone by now.
                Err(
                    KeyFault::WrongUsage { .. }
                    | KeyFault::WrongAlgorithm { .. }
                    | KeyFault::NoSuchKey(_),
                ) => {}
                Err(fault) => return Err(fault),
            }
        }
        keys.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(keys)
    }
}
