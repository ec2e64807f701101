//! `--help` of every command.

use crate::harness::{Output, Scratch};

/// The subcommands that a help text lists.
fn commands(help: &Output) -> Vec<String> {
    help.stdout
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn walk(scratch: &Scratch, path: &[String], lacking: &mut Vec<String>, seen: &mut usize) {
    let help = scratch.obreia().args(path).arg("--help").run();
    help.ok();
    let children = commands(&help);
    *seen += 1;
    if children.is_empty() && !help.stdout.contains("Example") {
        lacking.push(path.join(" "));
    }
    for child in children {
        walk(scratch, &[path, &[child]].concat(), lacking, seen);
    }
}

#[test]
fn every_command_shows_examples() {
    let scratch = Scratch::new();
    let (mut lacking, mut seen) = (Vec::new(), 0);
    walk(&scratch, &[], &mut lacking, &mut seen);
    assert!(lacking.is_empty(), "without examples: {lacking:?}");
    assert!(seen > 8, "only {seen} commands were found");
}

#[test]
fn a_wrong_command_line_is_exit_2_and_no_command_shows_help() {
    let scratch = Scratch::new();
    scratch.obreia().run().expect_code(2).says("Usage: obreia");
    scratch
        .obreia()
        .arg("verifi")
        .run()
        .expect_code(2)
        .stderr_has("verify");
    scratch
        .obreia()
        .args(["verify", "--no-such"])
        .run()
        .expect_code(2);
    scratch
        .obreia()
        .arg("--version")
        .run()
        .ok()
        .stdout_has("obreia 0.");
}
