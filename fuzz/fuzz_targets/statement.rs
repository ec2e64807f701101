//! In-toto statements, and the predicates of known types in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::statement::{Statement, predicate};

fuzz_target!(|data: &[u8]| {
    let Ok(statement) = Statement::parse(data) else {
        return;
    };
    assert_eq!(
        Statement::parse(&statement.to_json()).as_ref(),
        Ok(&statement)
    );
    if let Ok(kind) = predicate::resolve(&statement.predicate_type) {
        let _valid_or_not = kind.validate(&statement.predicate);
    }
});
