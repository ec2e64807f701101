//! The README's first command, and that what it prints is what it does.

use crate::harness::{Obreia, Scratch};

/// The commands that quickstart printed, as a person would paste them.
fn printed(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn the_whole_chain_and_the_refusal_at_its_end() {
    let scratch = Scratch::new();
    let output = scratch.obreia().args(["quickstart", "--dir", "run"]).run();
    output.ok();
    for said in [
        "ALLOWED",
        "DENIED",
        "model-file-changed",
        "one changed byte was refused",
    ] {
        output.stdout_has(said);
    }
    assert!(scratch.join("run/serving/fetched/config.json").is_file());
    assert!(
        !scratch.join("run/serving-tampered/tampered").exists(),
        "nothing unverified was put in place"
    );
}

#[test]
fn printed_commands_pasted_into_a_shell_give_the_same_verdicts() {
    let scratch = Scratch::new();
    let first = scratch.obreia().args(["quickstart", "--dir", "run"]).run();
    first.ok();
    let commands = printed(&first.stdout);
    assert!(commands.len() >= 10, "{commands:?}");
    scratch
        .obreia()
        .args(["quickstart", "--prepare-only", "--dir", "pasted"])
        .run()
        .ok();
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_obreia"))
        .parent()
        .unwrap()
        .to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut said = String::new();
    for command in &commands {
        let output = Obreia::in_scratch(&scratch)
            .program("sh")
            .args(["-c", command])
            .env("PATH", &path)
            .dir(scratch.join("pasted"))
            .run();
        said.push_str(&output.stdout);
        said.push_str(&output.stderr);
    }
    let verdicts = |text: &str| -> Vec<String> {
        text.lines()
            .map(|l| l.trim().to_owned())
            .filter(|l| {
                ["ALLOWED", "DENIED", "UNDETERMINED"]
                    .iter()
                    .any(|w| l.starts_with(w))
            })
            .collect()
    };
    assert_eq!(verdicts(&said), verdicts(&first.stdout));
    assert!(verdicts(&said).iter().any(|l| l.starts_with("DENIED")));
}

#[test]
fn a_model_of_the_users_own() {
    let scratch = Scratch::new();
    scratch.write("mine/weights.bin", [7_u8; 5000]);
    scratch.write("mine/sub/config.json", b"{}");
    scratch
        .obreia()
        .args(["quickstart", "mine", "--dir", "run"])
        .run()
        .ok();
    assert_eq!(
        scratch.read("mine/weights.bin"),
        [7_u8; 5000],
        "the user's model is untouched"
    );
    scratch.write("single.bin", [7_u8; 5000]);
    scratch
        .obreia()
        .args(["quickstart", "single.bin", "--dir", "run2"])
        .run()
        .ok();
}

#[test]
fn an_existing_folder_is_refused() {
    let scratch = Scratch::new();
    scratch.write("run/precious", b"x");
    let output = scratch.obreia().args(["quickstart", "--dir", "run"]).run();
    output.expect_code(2).stderr_has("does not exist yet");
    assert_eq!(scratch.read("run/precious"), b"x");
}
