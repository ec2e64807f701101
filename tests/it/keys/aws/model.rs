//! The published description of the service, as `botocore` has it: our
//! requests fit it, and so do the stand-in's answers.

use serde_json::json;

use super::{Case, KEY};
use crate::harness::peer;

/// Reads `[action, request, answer]` lists; says what does not fit.
const VALIDATE: &str = r#"
import base64, datetime, json, sys
import botocore.session
from botocore.validate import ParamValidator

model = botocore.session.get_session().get_service_model("kms")

def typed(value, shape):
    if shape.type_name == "blob":
        return base64.b64decode(value, validate=True)
    if shape.type_name == "timestamp":
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    if shape.type_name == "structure":
        unknown = set(value) - set(shape.members)
        if unknown:
            sys.exit(f"{shape.name} has no {sorted(unknown)}")
        return {name: typed(inner, shape.members[name]) for name, inner in value.items()}
    if shape.type_name == "list":
        return [typed(inner, shape.member) for inner in value]
    if shape.type_name == "string" and shape.enum and value not in shape.enum:
        sys.exit(f"{shape.name} has no {value!r}")
    return value

seen = []
for action, request, answer in json.load(sys.stdin):
    operation = model.operation_model(action)
    report = ParamValidator().validate(typed(request, operation.input_shape), operation.input_shape)
    if report.has_errors():
        sys.exit(f"{action}: {report.generate_report()}")
    if answer is not None:
        report = ParamValidator().validate(typed(answer, operation.output_shape), operation.output_shape)
        if report.has_errors():
            sys.exit(f"{action} answered: {report.generate_report()}")
    seen.append(action)
print(" ".join(sorted(set(seen))))
"#;

#[test]
fn requests_and_answers_fit_the_published_description() {
    let Some(python) = peer("python-kms") else {
        return;
    };
    let case = Case::new();
    case.sign(KEY).ok();
    let new = "awskms:///alias/new";
    case.run(&["key", "create", new, "--algorithm", "rsa-3072"])
        .ok();
    case.run(&["key", "show", new]).ok();
    case.run(&["key", "disable", new]).ok();
    case.run(&["key", "enable", new]).ok();
    case.sign(&format!("{new}?scheme=rsa-pss-sha256")).ok();
    let mut told = Vec::new();
    for call in case.server.calls() {
        let (status, answer) = call.answer.unwrap();
        let answer = Some(answer).filter(|a| status == 200 && !a.is_null());
        told.push(json!([call.action, call.body, answer]));
    }
    let validate = |told: &[serde_json::Value]| {
        let command = case.scratch.obreia().program(&python);
        command
            .args(["-c", VALIDATE])
            .stdin(json!(told).to_string())
            .run()
    };
    let out = validate(&told);
    assert_eq!(
        out.ok().stdout.trim(),
        "CreateAlias CreateKey DescribeKey DisableKey EnableKey GetPublicKey ListAliases Sign"
    );
    // The check itself refuses what does not fit.
    for wrong in [
        json!(["Sign", {"KeyId": "", "Message": "YQ==", "SigningAlgorithm": "ECDSA_SHA_256"}, null]),
        json!(["Sign", {"KeyId": "alias/k", "Message": "YQ==", "SigningAlgorithm": "SHA"}, null]),
        json!(["EnableKey", {"Key": "x"}, null]),
        json!(["EnableKey", {}, null]),
        json!(["GetPublicKey", {"KeyId": "x"}, {"PublicKey": "YQ==", "Spec": "x"}]),
    ] {
        assert_ne!(validate(&[wrong]).code, Some(0));
    }
}
