//! The way to the module beside cryptoki without it: the same token, key and
//! digest, in turns. A few signatures as a test, many as `scripts/bench pkcs11`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

use super::Pkcs11Keys;
use super::tests::{PIN, Soft, bench_at, key, new, softhsm, together};
use crate::crypto::{KeyKind, sha256};
use crate::keys::contract::{Fixed, run};
use crate::keys::{BoxFuture, GenerateKey, KeyProvider, Signer};

/// The folder of the token, for the process that measures.
const FOLDER: &str = "OBREIA_BENCH_FOLDER";
/// How many signatures a round has; a bench says so.
const COUNT: &str = "OBREIA_BENCH_COUNT";
type Raw = (Session, ObjectHandle);

const URI: &str = "pkcs11:token=bench;object=k";

#[test]
fn the_way_to_the_module_is_measured() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return measure(Path::new(&folder));
    }
    let Some((_, module)) = softhsm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let bench = bench_at(Soft::Hsm, folder.path(), None).unwrap();
    run(async {
        let made = bench
            .generate(&new(URI), KeyKind::EcP256, &Fixed(PIN))
            .await;
        made.unwrap();
    });
    drop(bench);
    // Raw, the module reads the process's own environment, which only its
    // parent can set.
    let measured = Command::new(std::env::current_exe().unwrap())
        .args(["keys::pkcs11::speed::the_way_to_the_module_is_measured"])
        .args(["--exact", "--nocapture"])
        .env("SOFTHSM2_CONF", folder.path().join("softhsm2.conf"))
        .env(FOLDER, folder.path())
        .env("OBREIA_BENCH_MODULE", module)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&measured.stdout);
    assert!(measured.status.success(), "{said}");
    let results = said.lines().filter(|line| line.starts_with("measured "));
    let results: Vec<&str> = results.collect();
    assert_eq!(results.len(), 2, "{said}");
    println!("\n{}", results.join("\n"));
}

fn measure(folder: &Path) {
    let count = std::env::var(COUNT).map_or(4, |count| count.parse().unwrap());
    let module = std::env::var_os("OBREIA_BENCH_MODULE").unwrap();
    let pkcs11 = Pkcs11::new(module).unwrap();
    pkcs11
        .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        .unwrap();
    let bench = bench_at(Soft::Hsm, folder, None).unwrap();
    run(async {
        let ours = opened(&bench).await;
        for threads in [1, 2] {
            let mut raw: Vec<Raw> = (0..threads).map(|_| session(&pkcs11)).collect();
            let mut ratios = Vec::new();
            let (mut ours_took, mut raw_took) = (Duration::ZERO, Duration::ZERO);
            for round in 0..=10 {
                let (one, back) = raw_round(raw, count);
                raw = back;
                let other = our_round(ours.as_ref(), threads, count).await;
                // The first round opens sessions.
                if round > 0 {
                    ratios.push(other.as_secs_f64() / one.as_secs_f64());
                    raw_took += one;
                    ours_took += other;
                }
            }
            ratios.sort_by(f64::total_cmp);
            let each = |took: Duration| took.as_secs_f64() * 1e6 / 10.0 / f64::from(count);
            println!(
                "measured {threads} ours {:.1} raw {:.1} ratio {:.3}",
                each(ours_took),
                each(raw_took),
                ratios[ratios.len() / 2]
            );
        }
    });
}

fn session(pkcs11: &Pkcs11) -> Raw {
    let slot = pkcs11.get_slots_with_initialized_token().unwrap()[0];
    let session = pkcs11.open_ro_session(slot).unwrap();
    let _already = session.login(UserType::User, Some(&AuthPin::new(PIN.into())));
    let template = [
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Label(b"k".to_vec()),
    ];
    let handle = session.find_objects(&template).unwrap()[0];
    (session, handle)
}

/// `count` signatures, shared among the sessions, a thread for each. Sessions
/// can be sent and not shared, so each goes to its thread and comes back.
fn raw_round(sessions: Vec<Raw>, count: u32) -> (Duration, Vec<Raw>) {
    let each = count / sessions.len() as u32;
    let sign = move |(session, key): Raw| {
        let digest = sha256(b"measured");
        for _ in 0..each {
            let signature = session.sign(&Mechanism::Ecdsa, key, digest.bytes());
            assert_eq!(signature.unwrap().len(), 64);
        }
        (session, key)
    };
    let begun = Instant::now();
    let back = if sessions.len() == 1 {
        sessions.into_iter().map(sign).collect()
    } else {
        let threads: Vec<_> = sessions
            .into_iter()
            .map(|session| std::thread::spawn(move || sign(session)))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    };
    (begun.elapsed(), back)
}

async fn opened(keys: &Pkcs11Keys) -> Box<dyn Signer> {
    keys.open(&key(URI), &Fixed(PIN)).await.unwrap()
}

async fn our_round(signer: &dyn Signer, at_once: u32, count: u32) -> Duration {
    let begun = Instant::now();
    let callers = (0..at_once).map(|_| {
        Box::pin(async move {
            let digest = sha256(b"measured");
            for _ in 0..count / at_once {
                let signature = signer.prehashed().unwrap().sign_digest(&digest).await;
                assert!(signature.unwrap().len() > 64);
            }
        }) as BoxFuture<'_, ()>
    });
    together(callers.collect()).await;
    begun.elapsed()
}
