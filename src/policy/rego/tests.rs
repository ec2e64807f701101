use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn rules(text: &str) -> Rego {
    Rego::compile("r.rego", text.as_bytes(), None).unwrap()
}

fn v1(body: &str) -> Rego {
    rules(&format!("package obreia\n{body}"))
}

#[track_caller]
fn fails(rego: &Rego, input: &Value, word: &str) {
    match rego.evaluate(input, SECOND) {
        Decision::Failed(detail) => assert!(detail.contains(word), "{detail}"),
        other => panic!("{other:?}"),
    }
}

fn yes(rego: &Rego, input: &Value) -> bool {
    match rego.evaluate(input, SECOND) {
        Decision::Failed(detail) => panic!("{detail}"),
        decision => decision.is_yes(),
    }
}

#[test]
fn both_syntaxes() {
    let new = v1("default allow := false\nallow if input.x == 1\ndeny contains \"no\" if input.y");
    let old = v1("default allow = false\nallow { input.x == 1 }\ndeny[\"no\"] { input.y }");
    assert_eq!((new.syntax(), old.syntax()), (Syntax::V1, Syntax::V0));
    for rego in [new, old] {
        assert!(yes(&rego, &json!({ "x": 1 })));
        assert!(!yes(&rego, &json!({ "x": 2 })));
        let both = rego.evaluate(&json!({ "x": 1, "y": true }), SECOND);
        assert_eq!(
            both,
            Decision::Answered {
                allow: true,
                deny: vec!["no".into()]
            }
        );
        assert!(!both.is_yes());
    }
}

#[test]
fn whatever_is_no_answer_is_a_failure() {
    let none = json!({});
    fails(&v1("allow if input.x"), &none, "undefined");
    fails(&v1("allow := 1"), &none, "a number");
    fails(&v1("allow := \"true\""), &none, "a text");
    fails(&v1("allow if true\nallow := false if true"), &none, "");
    fails(&v1("allow if to_number(\"x\") > 0"), &none, "");
    // An error below a `not` is an error all the same.
    fails(
        &v1("default allow := false\nallow if not to_number(\"x\")"),
        &none,
        "",
    );
    fails(&v1("allow := true\ndeny := \"no\""), &none, "a text");
    fails(&v1("allow := true\ndeny contains 1"), &none, "a number");
    fails(
        &v1("allow := true\ndeny[m] if m := \"x\""),
        &none,
        "deny is an object",
    );
}

#[test]
fn compile_errors_have_their_line() {
    for (text, words) in [
        ("package obreia\nallow if {", &["r.rego:2"][..]),
        ("package obreia\nallow if unheard.of(1)", &["r.rego:2"]),
        ("package obreia\n\nallow if x == 1", &["r.rego:3", "x"]),
        (
            "package obreia\ndeny contains \"x\"",
            &["no rule named allow"],
        ),
        ("package obreia[\"a b\"]\nallow := true", &["package"]),
        ("", &[]),
    ] {
        let err = Rego::compile("r.rego", text.as_bytes(), None).unwrap_err();
        for word in words {
            assert!(err.contains(word), "{text:?}: {err}");
        }
    }
    assert!(Rego::compile("r.rego", b"\xff", None).is_err());
    assert!(Rego::compile("r.rego", b"package a\nallow { true }", Some(Syntax::V1)).is_err());
}

#[test]
fn no_text_is_read_in_the_syntax_that_it_is_not_in() {
    // Read in the older syntax, these would be a bare `allow`: always true.
    for text in [
        "package obreia\nallow if unheard.of(1)",
        "package obreia\nallow if input.x\nbroken {",
        "package obreia\nallow if input.x == \"if\"\np { true }",
    ] {
        for syntax in [None, Some(Syntax::V0)] {
            assert!(
                Rego::compile("r.rego", text.as_bytes(), syntax).is_err(),
                "{text}"
            );
        }
    }
    // Words in texts, comments and calls are no keywords.
    for text in [
        "package a\nallow { input.x == \"if \\\" if\" } # if",
        "package a\nallow { contains(input.x, `if`) }",
        "package a\nimport future.keywords.if\nallow if { input.x }\ndeny[m] { m := input.m }",
    ] {
        let rego = Rego::compile("r.rego", text.as_bytes(), None).unwrap();
        assert_eq!(rego.syntax(), Syntax::V0, "{text}");
        assert!(!matches!(
            rego.evaluate(&json!({}), SECOND),
            Decision::Answered { allow: true, .. }
        ));
    }
}

#[test]
fn the_clock_is_an_input() {
    let rego = v1("default allow := false\nallow if time.now_ns() == 42");
    assert!(yes(&rego, &json!({ "now_ns": 42 })));
    assert!(!yes(&rego, &json!({ "now_ns": 43 })));
    fails(&rego, &json!({}), "input.now_ns");
}

#[test]
fn nothing_outside_is_reachable() {
    for call in [
        "http.send({\"url\": \"http://127.0.0.1\", \"method\": \"get\"})",
        "opa.runtime()",
        "net.lookup_ip_addr(\"localhost\")",
        "uuid.rfc4122(\"x\")",
    ] {
        let text = format!("package obreia\nallow if {call}");
        assert!(
            Rego::compile("r.rego", text.as_bytes(), None).is_err(),
            "{call}"
        );
    }
    fails(
        &v1("allow if rand.intn(\"x\", 1) == 0"),
        &json!({ "now_ns": 1 }),
        "chance",
    );
}

#[test]
fn time_is_bounded() {
    let rego = v1(
        "allow if { some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); i * j == 0 }",
    );
    let start = std::time::Instant::now();
    match rego.evaluate(&json!({}), Duration::from_millis(100)) {
        Decision::Failed(detail) => assert!(detail.contains("took longer"), "{detail}"),
        other => panic!("{other:?}"),
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn times_are_reckoned_in_utc() {
    let one = json!({ "now_ns": 1_794_300_000_123_456_789_i64 });
    for sum in [
        "time.parse_rfc3339_ns(\"2026-11-10T08:00:00.123456789+02:00\") == 1794290400123456789",
        "time.parse_duration_ns(\"1h30m\") == 5400000000000",
        "time.parse_duration_ns(\"-1.5s\") == -1500000000",
        "time.parse_duration_ns(\"2µs3ns\") == 2003",
        "time.parse_duration_ns(\"0\") == 0",
        "time.date(time.now_ns()) == [2026, 11, 10]",
        "time.clock([time.now_ns(), \"UTC\"]) == [8, 40, 0]",
        "time.weekday(time.now_ns()) == \"Tuesday\"",
        "time.add_date(time.now_ns(), 0, 0, 1) - time.now_ns() == 86400000000000",
        // As Go has it: there is no 31st of February, so it is the 3rd of March.
        "time.date(time.add_date(time.parse_rfc3339_ns(\"2026-01-31T00:00:00Z\"), 0, 1, 0)) == [2026, 3, 3]",
        "time.date(time.add_date(time.parse_rfc3339_ns(\"2026-01-31T00:00:00Z\"), -1, -1, -30)) == [2024, 12, 1]",
    ] {
        let rego = v1(&format!("default allow := false\nallow if {sum}"));
        assert!(yes(&rego, &one), "{sum}");
    }
}

#[test]
fn times_that_cannot_be_reckoned_are_errors() {
    for (call, word) in [
        ("time.parse_rfc3339_ns(\"2026-11-10\")", "RFC 3339"),
        ("time.parse_rfc3339_ns(5)", "takes a text"),
        ("time.parse_duration_ns(\"\")", "duration"),
        ("time.parse_duration_ns(\"1\")", "duration"),
        ("time.parse_duration_ns(\"1 h\")", "duration"),
        ("time.parse_duration_ns(\"1.2.3s\")", "duration"),
        ("time.parse_duration_ns(\".s\")", "duration"),
        ("time.parse_duration_ns(\"1d\")", "duration"),
        ("time.parse_duration_ns(\"9999999h\")", "duration"),
        ("time.date([0, \"Europe/Lisbon\"])", "only UTC"),
        ("time.date(\"0\")", "nanoseconds"),
        ("time.clock([1, 2, 3])", "nanoseconds"),
        ("time.weekday(0.5)", "whole nanoseconds"),
        ("time.add_date(0, 900000, 0, 0)", "out of range"),
        ("time.add_date(0, 300, 0, 0)", "out of range"),
        ("time.add_date(0, 0, 0, 0.5)", "whole numbers"),
    ] {
        fails(
            &v1(&format!("allow if {call}")),
            &json!({ "now_ns": 0 }),
            word,
        );
    }
    let unknown = Rego::compile("r.rego", b"package a\nallow if time.diff(1, 2)", None);
    assert!(unknown.unwrap_err().contains("could not find function"));
}
