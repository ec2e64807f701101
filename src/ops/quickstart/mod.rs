//! The quickstart's steps: plain commands, so that what is shown is what is run.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use super::{Exit, Failure};
use crate::durable::{self, Existing};
use crate::model::files::{HashRequest, Standing};
use crate::source::stage;
use crate::source::tree::{Tree, TreeOptions};
use crate::time::Timestamp;

const KEY: &str = "kms://model-sign/staging/demo/model";
const POLICY: &str = include_str!("policy.yaml");

const BUILT_IN: [(&str, &[u8]); 4] = [
    (
        "README.md",
        include_bytes!("../../../testdata/model/README.md"),
    ),
    (
        "config.json",
        include_bytes!("../../../testdata/model/config.json"),
    ),
    (
        "model.safetensors",
        include_bytes!("../../../testdata/model/model.safetensors"),
    ),
    (
        "tokenizer.json",
        include_bytes!("../../../testdata/model/tokenizer.json"),
    ),
];

/// One command and how it must end.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it shows; empty where it goes with the step before.
    pub title: &'static str,
    /// The command's words.
    pub words: Vec<String>,
    /// The exit code that is expected.
    pub exit: i32,
}

impl Step {
    fn new(title: &'static str, line: &str, exit: i32) -> Self {
        Self {
            title,
            words: line.split(' ').map(ToOwned::to_owned).collect(),
            exit,
        }
    }

    /// The command as a shell reads it.
    pub fn line(&self) -> String {
        self.words.join(" ")
    }
}

/// Makes the scratch folder: private, new, and named where nobody else's is.
///
/// # Errors
/// Where it exists already or cannot be made.
pub fn scratch(wanted: Option<&Path>) -> Result<PathBuf, Failure> {
    let failed = |e: std::io::Error| {
        Failure::new(Exit::Usage, "cannot make the scratch folder")
            .cause(e)
            .hint("name a folder that does not exist yet with --dir")
    };
    match wanted {
        Some(dir) => {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(dir)
                .map_err(failed)?;
            dir.canonicalize().map_err(failed)
        }
        None => Ok(tempfile::Builder::new()
            .prefix("obreia-quickstart-")
            .tempdir()
            .map_err(failed)?
            .keep()),
    }
}

/// Puts into the scratch folder what the steps need: a copy of the model, a
/// passphrase, a policy and a provenance predicate. Returns the model's name there.
///
/// # Errors
/// Where the model cannot be copied or a file not be written.
pub fn prepare(dir: &Path, path: Option<&Path>, now: Timestamp) -> Result<Prepared, Failure> {
    let name = "model".to_owned();
    match path {
        Some(path) => copy(path, &dir.join(&name))?,
        None => built_in(&dir.join(&name))?,
    }
    let mut random = [0_u8; 24];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| Failure::new(Exit::Undetermined, "the system's random generator failed"))?;
    let put = |file: &str, bytes: &[u8], mode| {
        durable::write(&dir.join(file), bytes, mode, Existing::Refuse)
    };
    put("passphrase", hex::encode(random).as_bytes(), 0o600)?;
    put("policy.yaml", POLICY.as_bytes(), 0o644)?;
    let provenance = json!({
        "buildDefinition": {
            "buildType": "https://obreia.dev/quickstart/v1",
            "externalParameters": {"model": name},
            "resolvedDependencies": [],
        },
        "runDetails": {
            "builder": {"id": "https://obreia.dev/quickstart"},
            "metadata": {"startedOn": now.whole_second(), "finishedOn": now.whole_second()},
        },
    });
    put("provenance.json", provenance.to_string().as_bytes(), 0o644)?;
    victim(dir, name)
}

/// The model in the scratch folder, and which of its bytes will be changed.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its name there.
    pub name: String,
    /// Whether it is one file.
    pub single: bool,
    /// Its largest file, relative to the folder it is pulled into.
    pub file: String,
    /// A byte in the middle of that file which is not the one written over it.
    pub offset: u64,
}

/// The steps for the model in the scratch folder.
pub fn steps(prepared: &Prepared) -> Vec<Step> {
    let model = &prepared.name;
    // A model that is one file comes out of a layout as a file in a folder.
    let (fetched, tampered, served) = if prepared.single {
        (
            format!("fetched/{model}"),
            format!("tampered/{model}"),
            model.clone(),
        )
    } else {
        (
            "fetched".to_owned(),
            "tampered".to_owned(),
            "fetched".to_owned(),
        )
    };
    let pass = "--passphrase-file passphrase";
    let target = "--name demo/model";
    vec![
        Step::new(
            "a keystore, sealed by a passphrase",
            &format!("obreia init . {pass}"),
            0,
        ),
        Step::new("", &format!("obreia key create {KEY} {pass}"), 0),
        Step::new(
            "sign the model",
            &format!("obreia sign {model} --key {KEY} {pass}"),
            0,
        ),
        Step::new(
            "say what is in it and where it comes from",
            &format!("obreia sbom {model} --output model.cdx.json"),
            0,
        ),
        Step::new(
            "",
            &format!(
                "obreia attest {model} --type cyclonedx --predicate model.cdx.json --key {KEY} {pass}"
            ),
            0,
        ),
        Step::new(
            "",
            &format!(
                "obreia attest {model} --type slsaprovenance1 --predicate provenance.json --key {KEY} {pass}"
            ),
            0,
        ),
        Step::new(
            "push it, with its evidence, to staging",
            &format!("obreia push {model} oci-layout:staging:v1"),
            0,
        ),
        Step::new(
            "promote it to production, under a policy",
            &format!(
                "obreia promote oci-layout:staging:v1 oci-layout:production:v1 --policy policy.yaml {target}"
            ),
            0,
        ),
        Step::new(
            "fetch it where it will run",
            "obreia pull oci-layout:production:v1 fetched",
            0,
        ),
        Step::new(
            "start nothing that is not verified",
            &format!(
                "obreia guard --policy policy.yaml {target} --into serving {fetched} -- ls serving/{served}"
            ),
            0,
        ),
        Step::new("now change one byte", "cp -R fetched tampered", 0),
        Step::new(
            "",
            &format!(
                "dd if=policy.yaml of=tampered/{} bs=1 count=1 seek={} conv=notrunc status=none",
                prepared.file, prepared.offset
            ),
            0,
        ),
        Step::new(
            "and it does not start",
            &format!(
                "obreia guard --policy policy.yaml {target} --into serving-tampered {tampered} -- ls serving-tampered"
            ),
            126,
        ),
    ]
}

/// The same steps as a shell script that stops where one does not end as it must.
pub fn script(steps: &[Step]) -> String {
    let mut script = String::from(
        "#!/bin/sh\n# The commands of obreia quickstart. Run it in a fresh folder prepared by quickstart.\n",
    );
    for step in steps {
        if !step.title.is_empty() {
            script.push_str(&format!("\n# {}\n", step.title));
        }
        script.push_str(&step.line());
        script.push_str(&match step.exit {
            0 => " || exit 1\n".to_owned(),
            code => format!("; [ $? -eq {code} ] || exit 1\n"),
        });
    }
    script
}

/// Finds a byte to change: in the middle of the largest file, and not the
/// first byte of the policy, which is what will be written over it.
fn victim(dir: &Path, name: String) -> Result<Prepared, Failure> {
    let tree = Tree::open(&dir.join(&name), &TreeOptions::default())?;
    let largest = tree
        .entries()
        .iter()
        .filter(|e| e.standing == Standing::Content && e.size > 0)
        .max_by_key(|e| e.size);
    let Some(entry) = largest else {
        return Err(Failure::new(
            Exit::Usage,
            "the model has no file with a byte in it",
        ));
    };
    let file = tree.open_entry(entry)?;
    let mut byte = [0];
    let mut offset = entry.size / 2;
    while offset + 1 < entry.size {
        file.read_at(offset, &mut byte)
            .map_err(|e| Failure::new(Exit::Undetermined, "cannot read the model").cause(e))?;
        if byte[0] != POLICY.as_bytes()[0] {
            break;
        }
        offset += 1;
    }
    let file = if tree.is_single_file() {
        name.clone()
    } else {
        entry.path.clone()
    };
    Ok(Prepared {
        name,
        single: tree.is_single_file(),
        file,
        offset,
    })
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let tree = Tree::open(from, &TreeOptions::default())?;
    let (staged, _) = stage::copy_into(&tree, to, &HashRequest::whole(), &())?;
    staged.commit()?;
    Ok(())
}

/// The small model that the crate's tests use, so that the installed binary
/// needs nothing beside it.
fn built_in(to: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(to)
        .map_err(|e| Failure::new(Exit::Undetermined, "cannot write the model").cause(e))?;
    for (name, bytes) in BUILT_IN {
        durable::write(&to.join(name), bytes, 0o644, Existing::Refuse)?;
    }
    Ok(())
}
