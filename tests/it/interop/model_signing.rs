//! OpenSSF model-signing 1.1.1.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::harness::{Output, Scratch, peer};

/// What is done to a signed model, in a word and in deed, and our reason to refuse it.
type Change = (&'static str, fn(&Scratch), &'static str);

/// A scratch folder with a model, a key pair `k.pem` and `k.pub`, and the peer.
struct Case {
    scratch: Scratch,
    peer: PathBuf,
}

impl Case {
    /// `None` in a quick run, where the test has been named as not run.
    fn new(curve: &str) -> Option<Self> {
        let peer = peer("model_signing")?;
        let scratch = Scratch::new();
        key_pair(&scratch, "k", curve);
        Some(Self { scratch, peer })
    }

    /// Nested folders, an empty file, names that sort differently by parts
    /// and by bytes, names beyond ASCII, a space, a colon, a leading dash.
    fn with_model(curve: &str) -> Option<Self> {
        let case = Self::new(curve)?;
        for (path, content) in [
            ("m/config.json", "{}"),
            ("m/empty", ""),
            ("m/-dash", "d"),
            ("m/a:b c", "colon and space"),
            ("m/layer/0/weights.bin", "\u{1}\u{2}\u{3}"),
            ("m/layer/0-norm.bin", "n"),
            ("m/layer.txt", "t"),
            ("m/ünï/模型.bin", "u"),
            ("m/sub/.git/config", "not at the root: part of the model"),
        ] {
            case.scratch.write(path, content);
        }
        Some(case)
    }

    fn ours(&self, args: &[&str]) -> Output {
        self.scratch.obreia().args(args).run()
    }

    fn theirs(&self, args: &[&str]) -> Output {
        self.scratch.obreia().program(&self.peer).args(args).run()
    }

    /// Their verdict on `m` with `m/model.sig`.
    fn they_verify(&self) -> Output {
        self.theirs(&[
            "verify",
            "key",
            "--public_key",
            "k.pub",
            "--signature",
            "m/model.sig",
            "m",
        ])
    }

    fn we_verify(&self) -> Output {
        self.ours(&["verify", "m", "--key", "k.pub"])
    }

    fn they_sign(&self, more: &[&str]) {
        let args = [
            "sign",
            "key",
            "--private_key",
            "k.pem",
            "--signature",
            "m/model.sig",
        ];
        self.theirs(&[&args[..], more, &["m"]].concat()).ok();
    }

    fn we_sign(&self, more: &[&str]) {
        self.ours(&[&["sign", "m", "--key", "k.pem"][..], more].concat())
            .ok();
    }

    fn python(&self, script: &str) -> Option<Output> {
        let python = peer("python")?;
        Some(
            self.scratch
                .obreia()
                .program(python)
                .args(["-c", script])
                .run(),
        )
    }
}

fn key_pair(scratch: &Scratch, name: &str, curve: &str) {
    let openssl = peer("openssl").unwrap();
    let (private, public) = (format!("{name}.pem"), format!("{name}.pub"));
    let curve = format!("ec_paramgen_curve:{curve}");
    let make = [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        &curve,
        "-out",
        &private,
    ];
    scratch.obreia().program(&openssl).args(make).run().ok();
    let public = ["pkey", "-in", &private, "-pubout", "-out", &public];
    scratch.obreia().program(&openssl).args(public).run().ok();
}

#[test]
fn they_accept_what_we_sign() {
    for curve in ["P-256", "P-384", "P-521"] {
        let Some(case) = Case::with_model(curve) else {
            return;
        };
        case.we_sign(&[]);
        case.they_verify().ok().says("Verification succeeded");
        case.we_verify().ok();
    }
}

#[test]
fn we_accept_what_they_sign() {
    for curve in ["P-256", "P-384", "P-521"] {
        let Some(case) = Case::with_model(curve) else {
            return;
        };
        case.they_sign(&[]);
        case.we_verify().ok().stdout_has("ALLOWED");
    }
}

#[test]
fn ignored_paths_are_ignored_by_both_and_never_silently() {
    let Some(case) = Case::with_model("P-256") else {
        return;
    };
    case.scratch.write("m/cache/x", "c");
    case.scratch.write("m/.gitattributes", "*");
    case.we_sign(&["--ignore-path", "cache"]);
    case.they_verify().ok();
    // What they pass over, we name, whatever the signer has ignored.
    case.we_verify()
        .expect_code(1)
        .stdout_has("unsigned-files")
        .stdout_has("cache/x")
        .stdout_has(".gitattributes");
    let allowed = ["verify", "m", "--key", "k.pub", "--ignore-path", "cache"];
    case.ours(&allowed).expect_code(1).stdout_lacks("cache/x");
    case.ours(&[&allowed[..], &["--ignore-path", ".gitattributes"]].concat())
        .ok();

    fs::remove_file(case.scratch.join("m/model.sig")).unwrap();
    case.they_sign(&["--ignore-paths", "m/cache"]);
    case.we_verify().expect_code(1).stdout_has("cache/x");
    case.ours(&[&allowed[..], &["--ignore-path", ".gitattributes"]].concat())
        .ok();
    // A file that comes to lie under an ignored path, and one under .git.
    case.scratch.write("m/cache/evil.py", "e");
    case.scratch.write("m/.git/hooks/post-checkout", "e");
    case.they_verify().ok();
    case.we_verify()
        .expect_code(1)
        .stdout_has("cache/evil.py")
        .stdout_has(".git/hooks/post-checkout");
}

#[test]
fn both_refuse_every_change() {
    let changes: [Change; 5] = [
        (
            "added",
            |s| drop(s.write("m/new.bin", "n")),
            "unsigned-files",
        ),
        (
            "missing",
            |s| fs::remove_file(s.join("m/config.json")).unwrap(),
            "model-file-missing",
        ),
        (
            "changed",
            |s| drop(s.write("m/config.json", "{ }")),
            "model-file-changed",
        ),
        (
            "renamed",
            |s| fs::rename(s.join("m/config.json"), s.join("m/layer/config.json")).unwrap(),
            "model-file-missing",
        ),
        (
            "case-changed",
            |s| fs::rename(s.join("m/config.json"), s.join("m/Config.json")).unwrap(),
            "model-file-missing",
        ),
    ];
    for (what, change, reason) in changes {
        for ours in [true, false] {
            let Some(case) = Case::with_model("P-256") else {
                return;
            };
            if ours {
                case.we_sign(&[]);
            } else {
                case.they_sign(&[]);
            }
            change(&case.scratch);
            let theirs = case.they_verify();
            assert_ne!(theirs.code, Some(0), "{what}\n{theirs}");
            case.we_verify().expect_code(1).stdout_has(reason);
        }
    }
}

#[test]
fn both_refuse_another_key_and_a_signature_of_another_model() {
    let Some(case) = Case::with_model("P-256") else {
        return;
    };
    case.we_sign(&[]);
    key_pair(&case.scratch, "other", "P-256");
    let args = [
        "verify",
        "key",
        "--public_key",
        "other.pub",
        "--signature",
        "m/model.sig",
        "m",
    ];
    assert_ne!(case.theirs(&args).code, Some(0));
    case.ours(&["verify", "m", "--key", "other.pub"])
        .expect_code(1);

    // The same contents under other names: their subject digest is the same.
    case.scratch.write("one/a", "1");
    case.scratch.write("two/b", "1");
    case.ours(&["sign", "one", "--key", "k.pem"]).ok();
    fs::copy(
        case.scratch.join("one/model.sig"),
        case.scratch.join("two/model.sig"),
    )
    .unwrap();
    case.ours(&["verify", "two", "--key", "k.pub"])
        .expect_code(1)
        .stdout_has("model-file-missing");
}

#[test]
fn a_single_file_is_a_model_for_both() {
    let Some(case) = Case::new("P-384") else {
        return;
    };
    case.scratch.write("one.bin", "weights");
    let theirs = [
        "key",
        "--private_key",
        "k.pem",
        "--signature",
        "theirs.sig",
        "one.bin",
    ];
    case.theirs(&[&["sign"][..], &theirs].concat()).ok();
    let verify = ["verify", "one.bin", "--kind", "model", "--key", "k.pub"];
    case.ours(&[&verify[..], &["--bundle", "theirs.sig"]].concat())
        .ok();

    let sign = [
        "sign", "one.bin", "--kind", "model", "--key", "k.pem", "--output", "ours.sig",
    ];
    case.ours(&sign).ok();
    let args = [
        "verify",
        "key",
        "--public_key",
        "k.pub",
        "--signature",
        "ours.sig",
        "one.bin",
    ];
    case.theirs(&args).ok();
    // Its name is no part of the signature, its bytes are.
    fs::rename(case.scratch.join("one.bin"), case.scratch.join("two.bin")).unwrap();
    let verify = [
        "verify", "two.bin", "--kind", "model", "--key", "k.pub", "--bundle", "ours.sig",
    ];
    case.ours(&verify).ok();
    case.scratch.write("two.bin", "Weights");
    case.ours(&verify)
        .expect_code(1)
        .stdout_has("model-file-changed");
}

// Their command line has no shards; their library has. It writes shard_size as
// 3.0, over which its own verifier stumbles; ours reads it, and theirs reads ours.
#[test]
fn shards_are_understood_both_ways() {
    let Some(case) = Case::new("P-256") else {
        return;
    };
    case.scratch.write("m/a/weights.bin", [7; 10_000]);
    case.scratch.write("m/a-b", [1; 3]);
    case.scratch.write("m/exact", [2; 2_048]);
    case.we_sign(&["--shard-size", "1024"]);
    let verify = "import model_signing as m\n\
        m.verifying.Config().use_elliptic_key_verifier(public_key='k.pub').verify('m', 'm/model.sig')";
    let Some(theirs) = case.python(verify) else {
        return;
    };
    theirs.ok();
    case.we_verify().ok();
    case.scratch.write("m/a-b", [1, 1, 2]);
    assert_ne!(case.python(verify).map(|o| o.code), Some(Some(0)));
    case.we_verify()
        .expect_code(1)
        .stdout_has("model-file-changed");

    let sign = "import model_signing as m\n\
        h = m.hashing.Config().use_shard_serialization(shard_size=1000)\n\
        h.set_ignored_paths(paths=['model.sig'])\n\
        s = m.signing.Config().use_elliptic_key_signer(private_key='k.pem')\n\
        s.set_hashing_config(h).sign('m', 'm/model.sig')";
    case.python(sign).unwrap().ok();
    case.we_verify().ok();
    case.scratch.write("m/exact", [2; 2_049]);
    case.we_verify()
        .expect_code(1)
        .stdout_has("model-file-changed");
}

/// A bundle by `k.pem` over files cut into shards of those sizes, as a signer
/// would make it who cuts each file as it likes.
fn cut(case: &Case, files: &[(&str, &[u8], usize)]) -> Vec<u8> {
    use obreia::crypto::{PrivateKey, sha256};
    use serde_json::json;

    let mut resources = Vec::new();
    let mut digests = Vec::new();
    for (path, bytes, size) in files {
        for (n, shard) in bytes.chunks(*size).enumerate() {
            let (start, digest) = (n * size, sha256(shard));
            digests.extend_from_slice(digest.bytes());
            resources.push(json!({
                "name": format!("{path}:{start}:{}", start + shard.len()),
                "algorithm": format!("sha256-sharded-{size}"),
                "digest": digest.hex(),
            }));
        }
    }
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m", "digest": {"sha256": sha256(&digests).hex()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {
                "method": "shards", "hash_type": "sha256", "allow_symlinks": false,
                "shard_size": files[0].2, "ignore_paths": ["model.sig"],
            },
            "resources": resources,
        },
    });
    let payload = statement.to_string().into_bytes();
    let key = PrivateKey::from_pem(&case.scratch.read("k.pem")).unwrap();
    let pae = obreia::dsse::pae(obreia::dsse::IN_TOTO, &payload);
    let signature = key.sign(key.public_key().default_scheme(), &pae).unwrap();
    obreia::model::oms::bundle(payload, signature, key.public_key()).to_json()
}

#[test]
fn both_refuse_a_model_cut_into_shards_of_several_sizes() {
    let Some(case) = Case::new("P-256") else {
        return;
    };
    let (a, b) = ([1; 10], [2; 10]);
    case.scratch.write("m/a", a);
    case.scratch.write("m/b", b);
    let verify = "import model_signing as m\n\
        m.verifying.Config().use_elliptic_key_verifier(public_key='k.pub').verify('m', 'm/model.sig')";
    for (size, same) in [(4, true), (3, false)] {
        let bundle = cut(&case, &[("a", &a, 4), ("b", &b, size)]);
        case.scratch.write("m/model.sig", bundle);
        let Some(theirs) = case.python(verify) else {
            return;
        };
        let ours = case.we_verify();
        assert_eq!(theirs.code == Some(0), same, "{theirs}");
        if same {
            ours.ok();
        } else {
            ours.expect_code(1).stdout_has("statement-malformed");
        }
    }
}

#[test]
fn symlinked_files_count_when_both_are_told_so() {
    let Some(case) = Case::with_model("P-256") else {
        return;
    };
    symlink("config.json", case.scratch.join("m/link.json")).unwrap();
    let refused = case.ours(&["sign", "m", "--key", "k.pem"]);
    assert_ne!(refused.code, Some(0), "{refused}");
    refused.says("link.json").says("symlink");
    case.we_sign(&["--allow-symlinks"]);
    let args = [
        "verify",
        "key",
        "--allow_symlinks",
        "--public_key",
        "k.pub",
        "--signature",
        "m/model.sig",
        "m",
    ];
    case.theirs(&args).ok();
    fs::remove_file(case.scratch.join("m/model.sig")).unwrap();
    case.they_sign(&["--allow_symlinks"]);
    case.ours(&["verify", "m", "--key", "k.pub", "--allow-symlinks"])
        .ok();
    let refused = case.we_verify();
    assert_ne!(refused.code, Some(0), "{refused}");
}
