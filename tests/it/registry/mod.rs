//! Registries: real ones and their clients, with something between that does
//! wrong; and one in memory, which the tests of the commands use.

pub(crate) use crate::harness::between;

mod copying;
mod cosign2;
mod doctor;
mod download;
mod entering;
// The unit tests use more of it.
#[allow(dead_code)]
pub(crate) mod fake;
mod faults;
mod hostile;
mod identity;
mod interop;
mod legacy;
mod lookups;
mod moving;
mod notation;
mod older_copied;
mod promotion;
mod requests;
mod secrets;
mod server;
mod several;
mod tls;
mod tokens;

use obreia::oci::{Descriptor, media_type};
use obreia::source::registry::{Access, Registries, Repository, Source};
use serde_json::{Value, json};

use crate::harness::{Output, Scratch, testdata};

/// A repository that wants no credentials.
pub(crate) fn repository(host: &str, name: &str) -> Repository {
    Registries::new(Access::default())
        .repository(host, name)
        .unwrap()
}

pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The path of one of the tests' key files.
fn key(name: &str) -> String {
    testdata("keys").join(name).display().to_string()
}

fn ours(scratch: &Scratch, args: &[&str]) -> Output {
    scratch.obreia().args(args).run()
}

fn sign(scratch: &Scratch, name: &str) {
    ours(scratch, &["sign", name, "--key", &key("p256.pkcs8.pem")]).ok();
}

fn verify(scratch: &Scratch, name: &str) -> Output {
    ours(scratch, &["verify", name, "--key", &key("p256.pub.pem")])
}

/// Whether anybody is told, as a reason, that there is no signature. That none
/// was found so far may stand in a note.
pub(crate) fn says_there_is_none(out: &Output) -> bool {
    fn look(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.iter().any(|(name, value)| {
                let reasons = value.as_array().filter(|_| name == "reasons");
                let mut codes = reasons.into_iter().flatten().map(|one| &one["code"]);
                codes.any(|code| code == "no-signature") || look(value)
            }),
            Value::Array(values) => values.iter().any(look),
            _ => false,
        }
    }
    look(&out.json())
}

/// Puts an image that is told apart by its tag; its digest.
pub(crate) fn put_image(host: &str, name: &str, tag: &str) -> String {
    let at = repository(host, name);
    let config = json!({"os": "linux", "architecture": "amd64", "config": {"Labels": {"tag": tag}},
        "rootfs": {"type": "layers", "diff_ids": []}})
    .to_string();
    let layer = format!("a layer of {tag}");
    let config_at = Descriptor::of(media_type::CONFIG, config.as_bytes());
    let layer_at = Descriptor::of("application/vnd.oci.image.layer.v1.tar", layer.as_bytes());
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
        "config": config_at, "layers": [layer_at]})
    .to_string();
    let descriptor = Descriptor::of(media_type::MANIFEST, manifest.as_bytes());
    wait(async {
        for (blob, bytes) in [(&config_at, &config), (&layer_at, &layer)] {
            at.put_blob(blob, Source::Bytes(bytes.as_bytes()), None)
                .await
                .unwrap();
        }
        at.put_manifest(Some(tag), &descriptor, manifest.as_bytes())
            .await
            .unwrap();
    });
    descriptor.digest.to_string()
}
