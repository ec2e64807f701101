//! Media types and annotation names, as their specifications spell them.

/// OCI image manifest (image-spec, "Image Manifest").
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index (image-spec, "Image Index").
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The empty JSON object (image-spec, "Guidance for an Empty Descriptor").
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// OCI image configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Docker's image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// A model packed as the CNCF ModelPack specification has it.
pub const MODEL: &str = "application/vnd.cncf.model.manifest.v1+json";
/// ModelPack's configuration.
pub const MODEL_CONFIG: &str = "application/vnd.cncf.model.config.v1+json";
/// One file of weights, neither archived nor compressed.
pub const MODEL_WEIGHT: &str = "application/vnd.cncf.model.weight.v1.raw";
/// One file beside the weights: tokenizer, configuration.
pub const MODEL_WEIGHT_CONFIG: &str = "application/vnd.cncf.model.weight.config.v1.raw";
/// One file for people: README, licence.
pub const MODEL_DOC: &str = "application/vnd.cncf.model.doc.v1.raw";
/// One file of program text.
pub const MODEL_CODE: &str = "application/vnd.cncf.model.code.v1.raw";
/// One file of data that the model was made from or is tested with.
pub const MODEL_DATASET: &str = "application/vnd.cncf.model.dataset.v1.raw";

/// A CycloneDX document in JSON.
pub const CYCLONEDX: &str = "application/vnd.cyclonedx+json";
/// An SPDX document in JSON.
pub const SPDX: &str = "application/spdx+json";
/// Bytes of no known kind.
pub const OCTETS: &str = "application/octet-stream";
/// Artifact type of a plain file that obreia pushed.
pub const FILE: &str = "application/vnd.obreia.file.v1";

/// A DSSE envelope outside of a bundle.
pub const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
/// Payload of cosign's signatures before bundles.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Artifact type of cosign 2's experimental OCI 1.1 signatures.
pub const COSIGN_SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// An in-toto statement that nobody signed, as BuildKit writes them; as an
/// artifact type also what cosign calls an attestation.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Artifact type of a Notation signature.
pub const NOTATION: &str = "application/vnd.cncf.notary.signature";
/// Envelope of a Notation signature in JSON (JWS).
pub const JOSE: &str = "application/jose+json";
/// Envelope of a Notation signature in CBOR (COSE).
pub const COSE: &str = "application/cose";

/// The tag of an entry in a layout's `index.json`.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The file's name of a layer that is one file.
pub const TITLE: &str = "org.opencontainers.image.title";
/// When it was made, RFC 3339.
pub const CREATED: &str = "org.opencontainers.image.created";
/// ModelPack's name of a layer's file inside the model.
pub const MODEL_PATH: &str = "org.cncf.model.filepath";
/// ModelPack's admission that a layer's media type was guessed from its name.
pub const MODEL_UNTESTED: &str = "org.cncf.model.file.mediatype.untested";
/// What a bundle referrer's bundle holds: `dsse-envelope` or `message-signature`.
pub const BUNDLE_CONTENT: &str = "dev.sigstore.bundle.content";
/// Predicate type of the statement in a bundle referrer.
pub const BUNDLE_PREDICATE: &str = "dev.sigstore.bundle.predicateType";
/// Base64 of the signature over a simple-signing layer.
pub const COSIGN_SIGNED: &str = "dev.cosignproject.cosign/signature";
/// PEM of the certificate whose key made it, where it is not a known key.
pub const COSIGN_CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
/// Predicate type of the statement in a layer of cosign's.
pub const COSIGN_PREDICATE: &str = "predicateType";
/// What a manifest in an index is to another one there (BuildKit).
pub const BUILDKIT_KIND: &str = "vnd.docker.reference.type";
/// Which one.
pub const BUILDKIT_ABOUT: &str = "vnd.docker.reference.digest";
/// [`BUILDKIT_KIND`] of a manifest that holds statements.
pub const BUILDKIT_ATTESTATION: &str = "attestation-manifest";
/// How the artifact was read when it was pushed: `file` or `directory`.
pub const READ_AS: &str = "dev.obreia.read-as";

/// Whether `media_type` is an image manifest that is read.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, MANIFEST | DOCKER_MANIFEST)
}

/// Whether `media_type` is an index of manifests that is read.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_LIST)
}

/// RFC 6838, section 4.2: `type/subtype`, with parameters behind `;`.
pub(super) fn is_well_formed(media_type: &str) -> bool {
    let word = |s: &str| {
        !s.is_empty()
            && s.len() <= 127
            && s.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let bare = media_type.split(';').next().unwrap_or_default();
    media_type.len() <= 255
        && !media_type.contains(|c: char| c.is_control())
        && matches!(bare.split_once('/'), Some((kind, sub)) if word(kind) && word(sub))
}

/// Whether a layer is one that nobody but its maker may give out (image-spec,
/// "Non-Distributable Layers"; Docker's foreign layers before it): it lies
/// where its descriptor's `urls` say, and not in registries.
pub fn is_elsewhere(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar")
        || media_type.starts_with("application/vnd.docker.image.rootfs.foreign.diff.tar")
}
