//! Model signatures, through the library.

mod reference;
mod refusals;

use std::path::Path;

use obreia::bundle::{Bundle, Content};
use obreia::crypto::PublicKey;
use obreia::model::manifest::{Comparison, ModelManifest};
use obreia::source::tree::{Tree, TreeOptions};
use obreia::statement::Statement;

/// The manifest in a bundle whose signature by `key` holds, or the reason why not.
pub(crate) fn signed_manifest(bundle: &Path, key: &PublicKey) -> Result<ModelManifest, String> {
    let bundle = Bundle::parse(&std::fs::read(bundle).unwrap()).map_err(|e| e.to_string())?;
    let Content::Envelope(envelope) = &bundle.content else {
        return Err("no envelope".to_owned());
    };
    key.default_scheme()
        .verify(key, &envelope.pae(), &envelope.signature)
        .map_err(|e| e.to_string())?;
    let statement = Statement::parse(&envelope.payload).map_err(|e| e.to_string())?;
    ModelManifest::from_statement(&statement).map_err(|e| e.to_string())
}

/// How the model at `path` compares with what was signed.
pub(crate) fn compare(manifest: &ModelManifest, path: &Path) -> Comparison {
    let tree = Tree::open(path, &TreeOptions::default()).unwrap();
    manifest.compare(&tree.hash(&manifest.request(), &()).unwrap())
}
