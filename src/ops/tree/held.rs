//! What the layers of a manifest hold, read and not believed.

use super::{Branch, Held, View, is_buildkit};
use crate::attestations::origin_of_layer;
use crate::bundle::{Bundle, Content, Material, is_bundle_media_type};
use crate::dsse::Envelope;
use crate::limits;
use crate::oci::{Manifest, SimpleSigning, media_type};
use crate::source::layout::Node;
use crate::statement::{COSIGN_SIGN, MODEL_SIGNATURE, Statement};
use crate::verify::Verdict;

/// Whether a layer of that type is evidence, and read to show it; of how many
/// bytes at most.
pub fn is_shown(media_type: &str) -> Option<u64> {
    match media_type {
        media_type::SIMPLE_SIGNING => Some(limits::SIMPLE_SIGNING),
        media_type::DSSE => Some(limits::BUNDLE),
        media_type::IN_TOTO => Some(limits::STATEMENT),
        other if is_bundle_media_type(other) => Some(limits::BUNDLE),
        _ => None,
    }
}

/// Reads every layer that is evidence.
pub(super) fn layers(branch: &mut Branch, view: &View<'_>, node: &Node, manifest: &Manifest) {
    let origin = (view.origin)(&node.descriptor.digest);
    for (at, layer) in manifest.layers.iter().enumerate() {
        if [media_type::JOSE, media_type::COSE].contains(&layer.media_type.as_str()) {
            let held = Held {
                format: Some("notation"),
                ..Held::default()
            };
            branch.holds.push(judged(held, &origin, view.verdict));
            continue;
        }
        let Some(limit) = is_shown(&layer.media_type) else {
            continue;
        };
        let origin = origin_of_layer(&origin, manifest, at);
        let bytes = match (view.blob)(layer, limit) {
            Ok(bytes) => bytes,
            Err(why) => {
                branch.unreadable = Some(why);
                continue;
            }
        };
        match layer.media_type.as_str() {
            media_type::SIMPLE_SIGNING => match SimpleSigning::parse(&bytes) {
                Ok(payload) => {
                    let held = Held {
                        format: Some("cosign-legacy"),
                        reference: Some(payload.reference),
                        ..Held::default()
                    };
                    branch.holds.push(judged(held, &origin, view.verdict));
                }
                Err(error) => branch.unreadable = Some(error.to_string()),
            },
            media_type::DSSE => match Envelope::parse(&bytes) {
                Ok(envelope) => {
                    let mut held = Held {
                        format: Some("dsse"),
                        ..Held::default()
                    };
                    let what = statement(branch, &mut held, &envelope);
                    if node.legacy.is_none() {
                        what.clone_into(&mut branch.what);
                    }
                    branch.holds.push(judged(held, &origin, view.verdict));
                }
                Err(error) => branch.unreadable = Some(error.to_string()),
            },
            media_type::IN_TOTO => match Statement::parse(&bytes) {
                Ok(statement) => {
                    if !is_buildkit(&node.descriptor) {
                        "in-toto statement".clone_into(&mut branch.what);
                    }
                    branch.holds.push(Held {
                        format: Some("unsigned"),
                        predicate_type: Some(statement.predicate_type),
                        ..Held::default()
                    });
                }
                Err(error) => branch.unreadable = Some(error.to_string()),
            },
            _ => bundle(branch, &bytes, &origin, view.verdict),
        }
    }
}

/// Tells what a bundle holds.
pub(super) fn bundle(branch: &mut Branch, json: &[u8], origin: &str, verdict: Option<&Verdict>) {
    let bundle = match Bundle::parse(json) {
        Ok(bundle) => bundle,
        Err(error) => {
            branch.unreadable = Some(error.to_string());
            return;
        }
    };
    let mut held = Held::default();
    if let Material::PublicKey { hint } = &bundle.material {
        held.hint = Some(hint.clone()).filter(|h| !h.is_empty());
    }
    branch.what = match &bundle.content {
        Content::Message { .. } => "signature",
        Content::Envelope(envelope) => statement(branch, &mut held, envelope),
    }
    .to_owned();
    branch.holds.push(judged(held, origin, verdict));
}

/// What an envelope is by its statement.
fn statement(branch: &mut Branch, held: &mut Held, envelope: &Envelope) -> &'static str {
    held.keyid = Some(envelope.keyid.clone()).filter(|k| !k.is_empty());
    match Statement::parse(&envelope.payload) {
        Ok(statement) => {
            let signs = [COSIGN_SIGN, MODEL_SIGNATURE];
            let is_signature = signs.contains(&statement.predicate_type.as_str());
            held.predicate_type = Some(statement.predicate_type);
            if is_signature {
                "signature"
            } else {
                "attestation"
            }
        }
        Err(error) => {
            branch.unreadable = Some(error.to_string());
            "attestation"
        }
    }
}

/// The same with what the verdict says of it.
fn judged(mut held: Held, origin: &str, verdict: Option<&Verdict>) -> Held {
    let reports = verdict.into_iter().flat_map(|v| &v.evidence);
    for report in reports.filter(|r| r.origin == origin) {
        held.verified = Some(held.verified == Some(true) || report.verified);
        held.signer = held.signer.take().or_else(|| report.signer.clone());
    }
    held
}
