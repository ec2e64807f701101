#!/usr/bin/env python3
"""Makes testdata/vectors/verify and testdata/vectors/bundle: signed with OpenSSL
alone, so that what obreia verifies was not made by obreia.

ECDSA signatures differ from run to run, so the files do too; what each case
says of them does not. Needs openssl 3 on PATH.

    testdata/make-verify-vectors.py        writes every case anew
"""
import base64
import hashlib
import json
import pathlib
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
KEYS = HERE / "keys"
OUT = HERE / "vectors" / "verify"
BUNDLES = HERE / "vectors" / "bundle"
MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"
SIGN = "https://sigstore.dev/cosign/sign/v1"
OMS = "https://model_signing/signature/v1.0"
CUSTOM = "https://cosign.sigstore.dev/attestation/v1"
HASH = {"p256": "sha256", "p256-b": "sha256", "p384": "sha384", "p521": "sha512", "rsa2048": "sha256"}
APP = b"the application\n"
KEY = "../../../keys/%s.pub.pem"


def openssl(*args):
    return subprocess.run(["openssl", *args], check=True, capture_output=True).stdout


def raw(key, message):
    """A signature over the message by a key of testdata/keys."""
    private = str(KEYS / f"{key}.pkcs8.pem")
    with tempfile.NamedTemporaryFile() as file:
        file.write(message)
        file.flush()
        if key == "ed25519":
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", private, "-in", file.name)
        return openssl("dgst", "-" + HASH[key], "-sign", private, file.name)


def b64(data):
    return base64.b64encode(data).decode()


def hint(key):
    der = openssl("pkey", "-pubin", "-in", str(KEYS / f"{key}.pub.pem"), "-outform", "DER")
    return b64(hashlib.sha256(der).digest())


def bundle(key, content, hinted=True):
    material = {"publicKey": {"hint": hint(key)} if hinted else {}}
    return {"mediaType": MEDIA, "verificationMaterial": material, **content}


def message(key, data, stated="sha256", digest=None, signature=None, hinted=True):
    names = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}
    digest = hashlib.new(stated, data).digest() if digest is None else digest
    signature = raw(key, data) if signature is None else signature
    return bundle(key, {"messageSignature": {
        "messageDigest": {"algorithm": names[stated], "digest": b64(digest)},
        "signature": b64(signature)}}, hinted)


def pae(kind, payload):
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def envelope(key, payload, kind=IN_TOTO, signed_kind=None, signed=None, hinted=True):
    signature = raw(key, pae(signed_kind or kind, signed or payload))
    return bundle(key, {"dsseEnvelope": {
        "payload": b64(payload), "payloadType": kind, "signatures": [{"sig": b64(signature)}]}}, hinted)


def statement(kind, predicate, digest=None, annotations=None, **more):
    subject = {"name": "app.bin", "digest": {"sha256": digest or hashlib.sha256(APP).hexdigest()}}
    if annotations:
        subject["annotations"] = annotations
    return json.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": [subject],
                       "predicateType": kind, "predicate": predicate, **more}).encode()


def oms(key, files, names=None):
    """An OpenSSF model signature over files, a dict of names and bytes."""
    resources = [{"name": name, "algorithm": "sha256", "digest": hashlib.sha256(data).hexdigest()}
                 for name, data in sorted(files.items())]
    root = hashlib.sha256(b"".join(bytes.fromhex(r["digest"]) for r in resources)).hexdigest()
    payload = json.dumps({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m", "digest": {"sha256": root}}],
        "predicateType": OMS,
        "predicate": {"serialization": {"method": "files", "hash_type": "sha256",
                                        "allow_symlinks": False}, "resources": resources}}).encode()
    return envelope(key, payload)


def policy(name, keys, more=""):
    authorities = "".join(f'    - {{ name: {k}, key: "{KEY % k}" }}\n' for k in keys)
    body = "".join(f"  {line}\n" for line in more.splitlines())
    return (f'apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: {{ name: {name} }}\nspec:\n'
            f'  match: [{{ name: "**" }}]\n  authorities:\n{authorities}{body}')


def case(name, about, files, expect, artifact="app.bin", bundles=(), key=None, policies=(),
         stage=None, args=()):
    """expect: (verdict, exit code, reasons, notes)"""
    folder = OUT / name
    folder.mkdir(parents=True)
    for path, data in files.items():
        if isinstance(data, (dict, list)):
            data = json.dumps(data, indent=1) + "\n"
        if isinstance(data, str):
            data = data.encode()
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    verdict, code, reasons, notes = (*expect, [], [])[:4] if len(expect) < 4 else expect
    lines = [f"about = {json.dumps(about)}", f"artifact = {json.dumps(artifact)}"]
    if bundles:
        lines.append(f"bundles = {json.dumps(list(bundles))}")
    if key:
        lines.append(f"key = {json.dumps(KEY % key)}")
    if policies:
        lines.append(f"policies = {json.dumps(list(policies))}")
    if stage:
        lines.append(f"stage = {json.dumps(stage)}")
    if args:
        lines.append(f"args = {json.dumps(list(args))}")
    lines += ['now = "2026-11-21T12:00:00Z"', f"verdict = {json.dumps(verdict)}",
              f"reasons = {json.dumps(reasons)}", f"notes = {json.dumps(notes)}", f"exit = {code}"]
    (folder / "case.toml").write_text("\n".join(lines) + "\n")


ALLOWED = ("allowed", 0)


def denied(*reasons):
    return ("denied", 1, list(reasons), [])


def blobs():
    for key in ["p256", "p384", "p521", "rsa2048"]:
        case(f"message-{key}", f"a message signature by {key}",
             {"app.bin": APP, "app.bin.sigstore.json": message(key, APP, HASH[key])}, ALLOWED, key=key)
        case(f"message-{key}-changed", "the same over other bytes",
             {"app.bin": APP + b"!", "app.bin.sigstore.json": message(key, APP, HASH[key])},
             denied("digest-mismatch"), key=key)
    case("message-ed25519", "pure Ed25519 over the bytes themselves, as others sign",
         {"app.bin": APP, "app.bin.sigstore.json": message("ed25519", APP)}, ALLOWED, key="ed25519")
    case("message-without-hint", "no hint: every key of the policy is tried",
         {"app.bin": APP, "b.json": message("p384", APP, "sha384", hinted=False),
          "p.yaml": policy("p", ["p256", "ed25519", "p384"], "signatures: { from: [p384] }")},
         ALLOWED, bundles=["b.json"], policies=["p.yaml"])
    case("signature-invalid", "the signature was made by another key than the hint says",
         {"app.bin": APP, "b.json": message("p256", APP, signature=raw("p256-b", APP))},
         denied("signature-invalid"), bundles=["b.json"], key="p256")
    case("signature-of-another-message", "the digest that is stated is right, the signature is not of it",
         {"app.bin": APP, "b.json": message("p256", APP, signature=raw("p256", b"other"))},
         denied("signature-invalid"), bundles=["b.json"], key="p256")
    case("scheme-mismatch", "a P-384 signature under the hint of a P-256 key",
         {"app.bin": APP, "b.json": message("p256", APP, signature=raw("p384", APP))},
         denied("scheme-mismatch"), bundles=["b.json"], key="p256")
    case("message-digest-mismatch", "the bundle states a digest that it did not sign",
         {"app.bin": APP, "b.json": message("p256", APP, digest=hashlib.sha256(b"lie").digest())},
         denied("message-digest-mismatch"), bundles=["b.json"], key="p256")
    case("digest-mismatch-statement", "a signed statement about another artifact",
         {"app.bin": APP, "b.json": envelope("p256", statement(SIGN, {}, "00" * 32))},
         denied("digest-mismatch"), bundles=["b.json"], key="p256")
    case("statement-sign", "cosign's sign/v1 statement",
         {"app.bin": APP, "b.json": envelope("p256", statement(SIGN, {}))},
         ALLOWED, bundles=["b.json"], key="p256")
    case("no-signature", "nothing lies beside the file", {"app.bin": APP}, denied("no-signature"), key="p256")
    case("no-signature-but-attestation", "an attestation approves nothing",
         {"app.bin": APP, "app.bin.custom.sigstore.json": envelope("p256", statement(CUSTOM, {"Data": "", "Timestamp": ""}))},
         denied("no-signature"), key="p256")
    case("key-not-trusted", "signed by a key that nobody named",
         {"app.bin": APP, "app.bin.sigstore.json": message("p256-b", APP)},
         denied("key-not-trusted"), key="p256")
    case("payload-type", "a signed envelope of another type",
         {"app.bin": APP, "b.json": envelope("p256", statement(SIGN, {}), kind="text/plain")},
         denied("payload-type"), bundles=["b.json"], key="p256")
    case("payload-type-changed", "its type was changed after signing",
         {"app.bin": APP, "b.json": envelope("p256", statement(SIGN, {}), kind="text/plain", signed_kind=IN_TOTO)},
         denied("signature-invalid"), bundles=["b.json"], key="p256")
    case("payload-changed", "its payload was changed after signing",
         {"app.bin": APP, "b.json": envelope("p256", statement(SIGN, {}), signed=statement(SIGN, {}, "00" * 32))},
         denied("signature-invalid"), bundles=["b.json"], key="p256")
    case("statement-malformed", "a subject's digest has the wrong length",
         {"app.bin": APP, "b.json": envelope("p256", statement(SIGN, {}, "00" * 31))},
         denied("statement-malformed"), bundles=["b.json"], key="p256")
    case("statement-not-json", "a signed payload that is no JSON",
         {"app.bin": APP, "b.json": envelope("p256", b"hello")},
         denied("statement-malformed"), bundles=["b.json"], key="p256")
    two = envelope("p256", statement(SIGN, {}))
    two["dsseEnvelope"]["signatures"] *= 2
    case("bundle-malformed", "two signatures in one envelope",
         {"app.bin": APP, "b.json": two}, denied("bundle-malformed"), bundles=["b.json"], key="p256")
    case("bundle-malformed-beside", "the only bundle is torn: no signature, and said why",
         {"app.bin": APP, "app.bin.sigstore.json": json.dumps(two)[:-9]}, denied("bundle-malformed"), key="p256")
    case("evidence-ignored", "somebody else's broken bundle changes nothing",
         {"app.bin": APP, "app.bin.sigstore.json": message("p256", APP), "app.bin.x.sigstore.json": "{"},
         ("allowed", 0, [], ["evidence-ignored"]), key="p256")
    certificate = message("p256", APP)
    certificate["verificationMaterial"] = {"certificate": {"rawBytes": "MAA="}}
    case("format-not-allowed", "certificates are not verified by this version",
         {"app.bin": APP, "b.json": certificate}, denied("format-not-allowed"), bundles=["b.json"], key="p256")
    digest = "sha256:" + hashlib.sha256(APP).hexdigest()
    case("digest-only", "the digest is enough for ECDSA over SHA-256",
         {"b.json": message("p256", APP)}, ALLOWED, artifact=digest, bundles=["b.json"], key="p256")
    case("digest-only-ed25519", "and not for Ed25519",
         {"b.json": message("ed25519", APP)}, denied("scheme-mismatch"), artifact=digest, bundles=["b.json"], key="ed25519")


def policies():
    signed = {"app.bin": APP, "app.bin.sigstore.json": message("p256", APP)}
    run = dict(policies=["p.yaml"])
    case("threshold-not-met", "one signature, and two keys must sign",
         {**signed, "p.yaml": policy("p", ["p256", "p256-b"], "signatures: { from: [p256, p256-b], threshold: 2 }")},
         denied("threshold-not-met"), **run)
    case("threshold-met", "two signatures by two keys",
         {"app.bin": APP, "a.json": message("p256", APP), "b.json": message("p256-b", APP),
          "p.yaml": policy("p", ["p256", "p256-b"], "signatures: { from: [p256, p256-b], threshold: 2 }")},
         ALLOWED, bundles=["a.json", "b.json"], **run)
    case("threshold-same-key-twice", "two signatures by one key are one",
         {"app.bin": APP, "a.json": message("p256", APP), "b.json": message("p256", APP),
          "p.yaml": policy("p", ["p256", "p256-b"], "signatures: { from: [p256, p256-b], threshold: 2 }")},
         denied("threshold-not-met"), bundles=["a.json", "b.json"], **run)
    case("no-policy-name", "no policy speaks about this name",
         {**signed, "p.yaml": policy("p", ["p256"]).replace('"**"', '"prod/**"')}, denied("no-policy"), **run)
    case("no-policy-stage", "nor at this stage",
         {**signed, "p.yaml": policy("p", ["p256"], "stages: [promotion]")}, denied("no-policy"), **run)
    case("no-attestation", "an attestation is asked for, and there is none",
         {**signed, "p.yaml": policy("p", ["p256"], "attestations: [{ type: custom, from: [p256] }]")},
         denied("no-attestation"), **run)
    predicate = {"scanner": 7}
    vuln = "https://cosign.sigstore.dev/attestation/vuln/v1"
    case("predicate-invalid", "the attestation that is asked for breaks its own type",
         {**signed, "app.bin.vuln.sigstore.json": envelope("p256", statement(vuln, predicate)),
          "p.yaml": policy("p", ["p256"], "attestations: [{ type: vuln, from: [p256] }]")},
         denied("predicate-invalid"), **run)
    case("predicate-invalid-not-asked-for", "nobody asked for it, so it changes nothing",
         {**signed, "app.bin.vuln.sigstore.json": envelope("p256", statement(vuln, predicate)),
          "p.yaml": policy("p", ["p256"])}, ALLOWED, **run)
    own = "https://example.com/eval/v1"
    wants = f'attestations: [{{ type: "{own}", from: [p256] }}]'
    case("attestation-of-ones-own-type", "a type that nobody here knows says what it likes",
         {**signed, "app.bin.eval.sigstore.json": envelope("p256", statement(own, 7)),
          "p.yaml": policy("p", ["p256"], wants)}, ALLOWED, **run)
    case("attestation-by-another-authority", "attested by a key that counts for signatures only",
         {**signed, "app.bin.eval.sigstore.json": envelope("p256-b", statement(own, {})),
          "p.yaml": policy("p", ["p256", "p256-b"], wants + "\nsignatures: { from: [p256] }")},
         denied("key-not-trusted"), **run)
    case("time-untrusted", "the policy asks when, and nothing trusted says",
         {**signed, "p.yaml": policy("p", ["p256"], "time: { require: signed }")}, denied("time-untrusted"), **run)
    case("time-untrusted-age", "an age needs a trusted time too",
         {**signed, "app.bin.eval.sigstore.json": envelope("p256", statement(own, {})),
          "p.yaml": policy("p", ["p256"], wants.replace("from: [p256] }]", "from: [p256], maxAge: 30d }]"))},
         denied("time-untrusted"), **run)
    bound = "binding: { from: [p256], repository: acme/app, stage: prod }"
    case("binding-missing", "no claim binds it to production",
         {**signed, "p.yaml": policy("p", ["p256"], bound)}, denied("binding-missing"), **run)
    for stage, expect in [("prod", ALLOWED), ("staging", denied("binding-missing"))]:
        claims = {"repository": "acme/app", "stage": stage}
        case(f"binding-{stage}", f"signed for {stage}",
             {"app.bin": APP, "app.bin.sigstore.json": envelope("p256", statement(SIGN, {}, annotations=claims)),
              "p.yaml": policy("p", ["p256"], bound)}, expect, **run)
    case("would-deny", "a policy that only warns",
         {"app.bin": APP, "p.yaml": policy("p", ["p256"], "mode: warn")},
         ("allowed", 0, [], ["would-deny", "no-signature"]), **run)
    case("mutable", "at startup what can change is denied",
         {**signed, "p.yaml": policy("p", ["p256"])}, denied("mutable"), stage="startup", **run)
    case("mutable-allowed", "unless the policy allows it",
         {**signed, "p.yaml": policy("p", ["p256"], "mutable: allow")}, ALLOWED, stage="startup", **run)
    pem = {k: (KEYS / f"{k}.pub.pem").read_text().strip().replace("\n", "\n            ") for k in ["p256", "p256-b"]}
    retired = policy("p", []) + "".join(
        f"    - name: {k}\n      keys:\n        - id: k\n          version: {v}\n          state: {s}\n"
        f"          pem: |\n            {pem[k]}\n"
        for k, v, s in [("p256", 1, "retired"), ("p256-b", 2, "active")])
    case("key-revoked", "signed by a version that was retired", {**signed, "p.yaml": retired},
         denied("key-revoked"), **run)
    case("key-verify-only", "a version that still verifies",
         {**signed, "p.yaml": retired.replace("retired", "verify-only")}, ALLOWED, **run)
    case("formats", "an accepted signature in a format that the policy does not list",
         {**signed, "p.yaml": policy("p", ["p256"], "signatures: { from: [p256], formats: [oms] }")},
         denied("format-not-allowed"), **run)
    rego = "rules:\n  name: rules.rego\n  rego: |\n    package obreia\n"

    def rules(name, about, body, expect, stage=None):
        text = rego + "".join(f"    {line}\n" for line in body.splitlines())
        case(name, about, {**signed, "p.yaml": policy("p", ["p256"], text)}, expect, stage=stage, **run)

    rules("rules-allow", "the rules say yes", "allow := true", ALLOWED)
    rules("policy-denied", "a rule says no, and why",
          'allow := true\ndeny contains "blobs are not released" if input.artifact.kind == "blob"',
          denied("policy-denied"))
    rules("policy-denied-silent", "the rules do not allow it", "default allow := false", denied("policy-denied"))
    rules("rules-failed-undefined", "undefined is no yes",
          'allow if input.artifact.kind == "image"', denied("rules-failed"))
    rules("rules-failed-not-boolean", "nor is a text", 'allow := "yes"', denied("rules-failed"))
    rules("rules-failed-conflict", "nor are two answers",
          "allow := true\nallow := false if input.stage == \"manual\"", denied("rules-failed"))
    rules("rules-see-verified-facts-only", "a signature that does not hold is not there",
          "default allow := false\nallow if count(input.signatures) == 0", denied("policy-denied"))


def models():
    files = {"config.json": b"{}\n", "weights.bin": bytes(range(256)), "sub/vocab.txt": b"a\n"}
    signature = oms("p256", files)

    def model(name, about, change, expect, **more):
        changed = {f"m/{path}": data for path, data in files.items()}
        change(changed)
        case(name, about, {**changed, "m/model.sig": signature}, expect, artifact="m", key="p256", **more)

    def renamed(old, new):
        return lambda m: m.update({f"m/{new}": m.pop(f"m/{old}")})

    model("model", "a model signature", lambda m: None, ALLOWED)
    model("model-file-changed", "a byte differs",
          lambda m: m.update({"m/weights.bin": bytes(256)}), denied("model-file-changed"))
    model("model-file-missing", "a file is not there",
          lambda m: m.pop("m/weights.bin"), denied("model-file-missing"))
    model("model-file-renamed", "it stands there under another name",
          renamed("weights.bin", "weights2.bin"), denied("model-file-missing"))
    model("model-file-moved", "it stands there in another folder",
          renamed("sub/vocab.txt", "vocab.txt"), denied("model-file-missing"))
    model("unsigned-files", "a file that nobody signed",
          lambda m: m.update({"m/run.py": b"import os\n"}), denied("unsigned-files"))
    model("unsigned-files-ignored", "which the operator lets lie there",
          lambda m: m.update({"m/docs/readme.md": b"hello\n"}), ALLOWED, args=["--ignore-path", "docs"])
    model("model-files-swapped", "two files changed places",
          lambda m: m.update({"m/config.json": files["sub/vocab.txt"], "m/sub/vocab.txt": files["config.json"]}),
          denied("model-file-changed"))
    bad = oms("p256", {"../m/config.json": files["config.json"]})
    case("model-name-leads-out", "a signed name that leads out of the model",
         {"m/config.json": files["config.json"], "m/model.sig": bad},
         denied("statement-malformed"), artifact="m", key="p256")
    case("model-signature-of-a-digest", "a model signature without the model's files",
         {"b.json": oms("p256", {".": APP})}, denied("format-not-allowed"),
         artifact="sha256:" + hashlib.sha256(APP).hexdigest(), bundles=["b.json"], key="p256")
    case("model-one-file", "a model that is one file",
         {"app.bin": APP, "app.bin.sigstore.json": oms("p256", {".": APP})}, ALLOWED,
         key="p256", args=["--kind", "model"])


def bundles():
    """What `inspect` reads as a bundle, and what it refuses."""
    shutil.rmtree(BUNDLES, ignore_errors=True)

    def write(name, about, text, *says, code=2):
        folder = BUNDLES / name
        folder.mkdir(parents=True)
        data = text if isinstance(text, (str, bytes)) else json.dumps(text, indent=1) + "\n"
        (folder / "bundle.json").write_bytes(data if isinstance(data, bytes) else data.encode())
        lines = [f"about = {json.dumps(about)}", f"says = {json.dumps(list(says))}", f"exit = {code}"]
        (folder / "case.toml").write_text("\n".join(lines) + "\n")

    plain, dsse = message("p256", APP), envelope("p256", statement(SIGN, {}))

    def changed(base, change):
        copy = json.loads(json.dumps(base))
        change(copy)
        return copy

    write("message", "a message signature", plain, "message-signature", hint("p256"), code=0)
    write("envelope", "an envelope", dsse, "dsse-envelope", SIGN, code=0)
    for version in ["0.1", "0.2", "0.3"]:
        old = f"application/vnd.dev.sigstore.bundle+json;version={version}"
        write(f"version-{version}", "an older way to write the version",
              changed(plain, lambda b: b.update(mediaType=old)), old, code=0)
    write("version-unknown", "a version of the future",
          changed(plain, lambda b: b.update(mediaType=MEDIA.replace("v0.3", "v0.4"))), "v0.4")
    write("no-hint", "a key without a hint",
          changed(plain, lambda b: b.update(verificationMaterial={"publicKey": {}})), 'hint ""', code=0)
    write("old-key-inside", "model-signing before 1.1 carried the key along",
          changed(plain, lambda b: b["verificationMaterial"]["publicKey"].update(rawBytes="AA==", keyDetails="PKIX")),
          "message-signature", code=0)
    write("no-material", "nothing says what to check it with",
          changed(plain, lambda b: b.update(verificationMaterial={})), "holds 0")
    write("two-materials", "a key and a certificate",
          changed(plain, lambda b: b["verificationMaterial"].update(certificate={"rawBytes": "MAA="})), "holds 2")
    write("no-content", "no signature at all",
          changed(plain, lambda b: b.pop("messageSignature")), "holds 0")
    write("two-contents", "a message signature and an envelope",
          changed(plain, lambda b: b.update(dsseEnvelope=dsse["dsseEnvelope"])), "holds 2")
    for count in [0, 2]:
        write(f"{count}-signatures", "not exactly one signature in the envelope",
              changed(dsse, lambda b: b["dsseEnvelope"].update(signatures=b["dsseEnvelope"]["signatures"] * count)),
              f"{count} signatures")
    write("empty-signature", "an empty one is none",
          changed(plain, lambda b: b["messageSignature"].update(signature="")), "signature is empty")
    for name, text in [("url", "_-8="), ("unpadded", "YQ"), ("spaced", "YQ= ="), ("trailing-bits", "YR==")]:
        write(f"base64-{name}", "one encoding, and no other",
              changed(plain, lambda b: b["messageSignature"].update(signature=text)), "not base64")
    write("no-payload-type", "an envelope without a type",
          changed(dsse, lambda b: b["dsseEnvelope"].update(payloadType="")), "payloadType")
    write("digest-short", "a digest of 31 bytes",
          changed(plain, lambda b: b["messageSignature"]["messageDigest"].update(digest=b64(bytes(31)))), "messageDigest")
    write("digest-long", "a SHA-256 of 48 bytes",
          changed(plain, lambda b: b["messageSignature"]["messageDigest"].update(digest=b64(bytes(48)))), "messageDigest")
    write("digest-unknown", "a hash that is not known",
          changed(plain, lambda b: b["messageSignature"]["messageDigest"].update(algorithm="SHA1")), "SHA1")
    write("unknown-field", "a field that nobody here understands",
          changed(plain, lambda b: b.update(extra=1)), "extra")
    text = json.dumps(plain)
    write("key-twice", "a key that stands twice", text.replace("{", '{"mediaType": "x", ', 1), "mediaType")
    write("truncated", "half of it", text[: len(text) // 2], "not a bundle")
    write("trailing", "something after it", text + "{}", "not a bundle")
    write("empty", "an empty file", "", "not a bundle")
    write("not-utf8", "bytes that are no text", b'{"mediaType": "\xff\xfe"}', "not a bundle")
    write("deep", "nested deeper than is read", "[" * 97 + "]" * 97, "96")
    write("array", "a list", [plain], "not a bundle")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    blobs()
    policies()
    models()
    bundles()
    print(len(list(OUT.iterdir())), "and", len(list(BUNDLES.iterdir())), "cases")


main()
