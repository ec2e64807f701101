//! Signs digests with a key in a token, many at once and each of them on
//! record before its signature leaves, for `benches/pkcs11.py`.
//!
//! `pipeline OBREIA MODULE PIN-FILE STATE COUNT AT-ONCE`. Prints how many
//! signatures a second that gives, and how many times a second the disk under
//! STATE confirms a small write.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic)]

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use obreia::crypto::sha256;
use obreia::custody::Caller;
use obreia::environment::Environment;
use obreia::keys::{
    Key, Keyring, Keys, Locked, Pkcs11, Pkcs11Module, Settings, SignInput, Unlock, UnlockError,
};
use obreia::reference::KeyRef;
use obreia::secret::Secret;
use obreia::time::{Clock, Timestamp};

/// What one durable write of the log has, about, in bytes.
const RECORD: usize = 600;

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp::from_nanos(i64::try_from(since.unwrap().as_nanos()).unwrap())
    }
}

/// The token's PIN, from its file.
struct Pin(Vec<u8>);

impl Unlock for Pin {
    fn passphrase(&self, _: &Locked) -> Result<Secret, UnlockError> {
        Ok(Secret::new(self.0.clone()))
    }
}

async fn open(arguments: &[String]) -> Key {
    let [helper, module, pin, state, ..] = arguments else {
        panic!("OBREIA MODULE PIN-FILE STATE COUNT AT-ONCE");
    };
    let conf = std::env::var("SOFTHSM2_CONF").unwrap_or_default();
    let module = Pkcs11Module {
        path: module.into(),
        pin: None,
        threads: None,
        environment: Vec::new(),
        rsa: None,
    };
    let settings = Settings {
        state: Some(state.into()),
        environment: Environment::from([("SOFTHSM2_CONF", conf.as_str())]),
        helper: Some(helper.into()),
        keys: Keys {
            pkcs11: Pkcs11 {
                module: None,
                modules: [("bench".to_owned(), module)].into(),
            },
            ..Keys::default()
        },
        ..Settings::default()
    };
    let key = KeyRef::parse("pkcs11:token=bench;object=k").unwrap();
    let keyring = Keyring::new(settings, Arc::new(Now));
    let pin = Pin(std::fs::read(pin).unwrap());
    keyring.open_key(&key, &pin).await.unwrap()
}

/// Signatures per second.
async fn signing(key: Key, count: u64, at_once: u64) -> f64 {
    let key = Arc::new(key);
    let begun = Instant::now();
    let running = (0..at_once).map(|first| {
        let key = Arc::clone(&key);
        tokio::spawn(async move {
            for number in 0..count / at_once {
                let digest = sha256(&(first + number * at_once).to_le_bytes());
                let signed = key.sign(SignInput::Digest(digest), &Caller::local(0)).await;
                signed.unwrap();
            }
        })
    });
    for one in running.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    (count / at_once * at_once) as f64 / begun.elapsed().as_secs_f64()
}

/// Confirmed writes per second.
fn flushing(folder: &Path, count: u64) -> f64 {
    let path = folder.join("flushed");
    let mut file = std::fs::File::create(&path).unwrap();
    let begun = Instant::now();
    for _ in 0..count {
        file.write_all(&[7; RECORD]).unwrap();
        file.sync_data().unwrap();
    }
    let took = begun.elapsed();
    std::fs::remove_file(&path).unwrap();
    count as f64 / took.as_secs_f64()
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let number = |at: usize| arguments[at].parse::<u64>().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let signatures = runtime.unwrap().block_on(async {
        let key = open(&arguments).await;
        signing(key, number(4), number(5)).await
    });
    let flushes = flushing(Path::new(&arguments[3]), number(4) / 4);
    println!("{signatures:.1} {flushes:.1}");
}
