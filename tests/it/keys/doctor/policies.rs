//! Public keys that policies hold, beside those that sign now.

use super::*;

fn policy(scratch: &Scratch, key: &str) {
    scratch.write(
        "p.yaml",
        format!(
            "apiVersion: obreia/v1\nkind: VerificationPolicy\nmetadata: {{ name: p }}\nspec:\n  match: [{{ kind: blob }}]\n  authorities: [{{ name: a, key: \"{key}\" }}]\n"
        ),
    );
    let locked = run(scratch, &["policy", "lock", "p.yaml", "--output", "-"]);
    scratch.write("p.yaml", &locked.ok().stdout);
    scratch.write(
        "obreia.toml",
        "version = 1\n[policy]\nfiles = [\"p.yaml\"]\n",
    );
}

#[test]
fn a_policy_that_was_locked_before_its_key_was_rotated() {
    let scratch = place();
    run(&scratch, &["key", "create", KEY]).ok();
    policy(&scratch, KEY);
    let doctor = || run(&scratch, &["doctor", "keys", "-o", "json"]);
    let told = report(&doctor(), 0);
    assert_eq!(check(&told, "policy", KEY)["result"], "ok", "{told:#}");
    run(&scratch, &["key", "rotate", KEY]).ok();
    let told = report(&doctor(), 0);
    let found = check(&told, "policy", KEY);
    is(found, "warning", "policy-key-outdated");
    assert!(found["hint"].as_str().unwrap().contains("policy lock"));
    run(&scratch, &["key", "disable", KEY]).ok();
    is(
        check(&report(&doctor(), 5), "policy", KEY),
        "failed",
        "disabled",
    );
}
