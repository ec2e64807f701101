//! Signs a digest many times with a key in OpenBao, for `benches/vault.py`.
//!
//! `vault MODE ADDRESS TOKEN-FILE KEY COUNT CLIENTS [STATE]`, where MODE is
//! `ours` (the whole pipeline, with the audit log where STATE is given) or
//! `bare` (the one HTTP request). Prints the latency that 95 of 100 kept to,
//! in milliseconds.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use obreia::crypto::sha256;
use obreia::custody::Caller;
use obreia::environment::{Environment, SecretSource};
use obreia::http::{Client, Method, Options, Request};
use obreia::keys::{
    Key, Keyring, Keys, Locked, Settings, SignInput, Unlock, UnlockError, Vault, VaultAuth,
};
use obreia::reference::KeyRef;
use obreia::secret::Secret;
use obreia::time::{Clock, Timestamp};

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp::from_nanos(i64::try_from(since.unwrap().as_nanos()).unwrap())
    }
}

struct Nobody;

impl Unlock for Nobody {
    fn passphrase(&self, _: &Locked) -> Result<Secret, UnlockError> {
        Err(UnlockError::NotGiven)
    }
}

enum Way {
    Ours(Box<Key>),
    Bare {
        client: Client,
        url: String,
        token: Secret,
    },
}

impl Way {
    async fn sign(&self, number: u64) {
        let digest = sha256(&number.to_le_bytes());
        match self {
            Self::Ours(key) => {
                let signed = key.sign(SignInput::Digest(digest), &Caller::local(0)).await;
                signed.unwrap();
            }
            Self::Bare { client, url, token } => {
                let input = STANDARD.encode(digest.bytes());
                let body =
                    format!("{{\"input\":\"{input}\",\"key_version\":1,\"prehashed\":true}}");
                let request = Request {
                    method: Method::Put,
                    url,
                    headers: &[("x-vault-token", token)],
                    body: Some(("application/json", body.into_bytes().into())),
                    repeatable: false,
                    deadline: Duration::from_secs(30),
                    limit: 1 << 20,
                };
                assert_eq!(client.send(&request).await.unwrap().status, 200);
            }
        }
    }
}

async fn way(arguments: &[String]) -> Way {
    let [mode, address, token, key, ..] = arguments else {
        panic!("MODE ADDRESS TOKEN-FILE KEY COUNT CLIENTS [STATE]");
    };
    if mode == "bare" {
        return Way::Bare {
            client: Client::new(&Options::default()).unwrap(),
            url: format!("{address}/v1/transit/sign/{key}/sha2-256"),
            token: Secret::new(std::fs::read(token).unwrap().trim_ascii().to_vec()),
        };
    }
    let settings = Settings {
        state: arguments.get(6).map(PathBuf::from),
        environment: Environment::default(),
        keys: Keys {
            vault: Vault {
                address: Some(address.clone()),
                auth: Some(VaultAuth::Token {
                    token: SecretSource::File(token.into()),
                }),
                ..Vault::default()
            },
            ..Keys::default()
        },
        ..Settings::default()
    };
    let keyring = Keyring::new(settings, Arc::new(Now));
    let key = KeyRef::parse(&format!("openbao://{key}")).unwrap();
    Way::Ours(Box::new(keyring.open_key(&key, &Nobody).await.unwrap()))
}

async fn measure(arguments: &[String]) -> f64 {
    let number = |at: usize| arguments[at].parse::<u64>().unwrap();
    let (count, clients) = (number(4), number(5));
    let way = Arc::new(way(arguments).await);
    let client = |first: u64| {
        let way = Arc::clone(&way);
        async move {
            let mut taken = Vec::new();
            for number in 0..count / clients {
                let begun = Instant::now();
                way.sign(first + number * clients).await;
                taken.push(begun.elapsed().as_secs_f64() * 1_000.0);
            }
            taken
        }
    };
    let running: Vec<_> = (0..clients).map(|n| tokio::spawn(client(n))).collect();
    let mut taken = Vec::new();
    for one in running {
        taken.extend(one.await.unwrap());
    }
    taken.sort_by(f64::total_cmp);
    taken[taken.len() * 95 / 100]
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    println!("{:.3}", runtime.unwrap().block_on(measure(&arguments)));
}
