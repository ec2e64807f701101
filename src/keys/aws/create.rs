use std::time::Duration;

use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::types::{KeyMetadata, KeyUsageType};

use super::fault::{Asked, note};
use super::name::Name;
use super::place::Place;
use super::{AwsKeys, PROVIDER, spec};
use crate::crypto::KeyKind;
use crate::keys::{BoxFuture, Described, GenerateKey, KeyFault, NewKey, Unlock, provenance};

/// The shortest that AWS waits before it deletes a key, in days.
const SHORTEST_WAIT: i32 = 7;
/// A key is not seen everywhere at once: how often it is looked for, and the
/// first pause, which doubles.
const LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

impl GenerateKey for AwsKeys {
    fn generate<'a>(
        &'a self,
        new: &'a NewKey,
        kind: KeyKind,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = self.online(&new.key)?;
            let bad = |why: &str| KeyFault::BadName {
                name: name.shown.clone(),
                why: why.to_owned(),
            };
            let alias = name
                .alias()
                .ok_or_else(|| bad("a new key is named by an alias: awskms:///alias/NAME"))?;
            if alias.starts_with("alias/aws/") {
                return Err(bad("alias/aws/ is kept for AWS' own keys"));
            }
            let key_spec = spec::key_spec(kind).ok_or_else(|| KeyFault::WrongAlgorithm {
                key: name.shown.clone(),
                why: format!("AWS KMS makes no keys of {kind}"),
            })?;
            self.scheme_of(&name, kind)?;
            let place = self.places.of(&name).await?;
            // Looked for first, so that a name that is taken leaves no key behind.
            match self.metadata(&place, &name).await {
                Ok(_) => return Err(KeyFault::Exists(name.shown)),
                Err(KeyFault::NoSuchKey(_) | KeyFault::Refused { .. }) => {}
                Err(fault) => return Err(fault),
            }
            let made = self.make(&place, &name, key_spec).await?;
            let mut aliases = vec![alias.to_owned()];
            aliases.extend(new.aliases.iter().map(|alias| format!("alias/{alias}")));
            for (done, alias) in aliases.iter().enumerate() {
                let Err(fault) = self.call(&place, &name, alias, &made).await else {
                    continue;
                };
                // An attempt whose answer was lost may have made it.
                if self.names(&place, &name, alias, &made, &fault).await? {
                    continue;
                }
                let named = &aliases[..done];
                return Err(self.abandon(&place, &name, &made, named, fault).await);
            }
            provenance::acknowledged(true);
            self.look(&place, &name, &made).await
        })
    }
}

impl AwsKeys {
    /// `CreateKey`, once: a second attempt could leave a second key.
    async fn make(
        &self,
        place: &Place,
        name: &Name,
        key_spec: aws_sdk_kms::types::KeySpec,
    ) -> Result<KeyMetadata, KeyFault> {
        let asked = Asked {
            place,
            key: &name.shown,
            action: "kms:CreateKey",
        };
        let once = aws_sdk_kms::Config::builder().retry_config(RetryConfig::disabled());
        let sent = place
            .client
            .create_key()
            .key_usage(KeyUsageType::SignVerify)
            .key_spec(key_spec)
            .description(format!("made by obreia for {}", name.id))
            .customize()
            .config_override(once)
            .send()
            .await;
        note(&sent);
        let output = sent.map_err(|e| asked.failed(&e))?;
        output.key_metadata.ok_or_else(|| KeyFault::Provider {
            provider: PROVIDER,
            cause: "it made a key without naming it".to_owned(),
        })
    }

    /// `CreateAlias`
    async fn call(
        &self,
        place: &Place,
        name: &Name,
        alias: &str,
        made: &KeyMetadata,
    ) -> Result<(), KeyFault> {
        let asked = Asked {
            place,
            key: &name.shown,
            action: "kms:CreateAlias",
        };
        let request = place.client.create_alias().alias_name(alias);
        let sent = request.target_key_id(made.key_id()).send().await;
        sent.map(|_| ()).map_err(|e| asked.failed(&e))
    }

    /// Whether `alias` names the key that was made.
    ///
    /// # Errors
    /// `Unavailable` where that cannot be told: neither is then touched.
    async fn names(
        &self,
        place: &Place,
        name: &Name,
        alias: &str,
        made: &KeyMetadata,
        fault: &KeyFault,
    ) -> Result<bool, KeyFault> {
        let asked = Asked {
            place,
            key: &name.shown,
            action: "kms:DescribeKey",
        };
        let sent = place.client.describe_key().key_id(alias).send().await;
        match sent.map_err(|e| asked.failed(&e)) {
            Ok(output) => Ok(output
                .key_metadata
                .is_some_and(|found| found.key_id() == made.key_id())),
            Err(KeyFault::NoSuchKey(_)) => Ok(false),
            Err(unseen) => Err(KeyFault::Unavailable {
                doing: "make",
                what: name.shown.clone(),
                cause: format!(
                    "{fault}; the key {} was made for it, and is left as it is, because whether {alias} names it could not be seen ({unseen})",
                    made.key_id()
                ),
            }),
        }
    }

    /// Lets a key that did not get all its names be deleted: nobody has used
    /// it yet. The names that it got are taken away first.
    async fn abandon(
        &self,
        place: &Place,
        name: &Name,
        made: &KeyMetadata,
        named: &[String],
        fault: KeyFault,
    ) -> KeyFault {
        for alias in named {
            let deleted = place.client.delete_alias().alias_name(alias).send().await;
            if deleted.is_err() {
                return KeyFault::Unavailable {
                    doing: "make",
                    what: name.shown.clone(),
                    cause: format!(
                        "{fault}; the key {} was made for it, and {alias} names it still",
                        made.key_id()
                    ),
                };
            }
        }
        let request = place.client.schedule_key_deletion();
        let request = request.pending_window_in_days(SHORTEST_WAIT);
        match request.key_id(made.key_id()).send().await {
            Ok(_) => fault,
            Err(_) => KeyFault::Unavailable {
                doing: "make",
                what: name.shown.clone(),
                cause: format!(
                    "{fault}; the key {} was made for it, has no name and could not be deleted",
                    made.key_id()
                ),
            },
        }
    }

    async fn look(
        &self,
        place: &Place,
        name: &Name,
        made: &KeyMetadata,
    ) -> Result<Described, KeyFault> {
        let mut pause = PAUSE;
        for _ in 1..LOOKS {
            match self.described(place, name, made).await {
                Err(KeyFault::NoSuchKey(_)) => tokio::time::sleep(pause).await,
                told => return told,
            }
            pause *= 2;
        }
        self.described(place, name, made).await
    }
}
