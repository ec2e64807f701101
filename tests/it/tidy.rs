//! The rules of the tree that a compiler does not check.
//!
//! Each checker takes files and returns violations that name file and line, so
//! that each is also run on small bad inputs: a rule that cannot be broken
//! tests nothing.

mod docs;
mod faults;
mod layers;
mod reasons;
mod rust;
mod sources;
mod tree;

use tree::{Tree, none};

#[test]
fn imports_go_down_only() {
    none(&layers::check(&Tree::of_the_project()));
}

#[test]
fn modules_do_not_import_each_other_in_a_circle() {
    none(&layers::check_circles(&Tree::of_the_project()));
}

#[test]
fn no_file_is_too_long() {
    let tree = Tree::of_the_project();
    for (file, lines) in sources::long(&tree) {
        println!("over 300 lines: {file} ({lines})");
    }
    none(&sources::check_size(&tree));
}

#[test]
fn modules_are_named_for_what_they_do() {
    none(&sources::check_names(&Tree::of_the_project()));
}

#[test]
fn nothing_is_unsafe() {
    none(&sources::check_unsafe(&Tree::of_the_project()));
}

#[test]
fn features_are_asked_for_where_things_are_registered() {
    none(&sources::check_features(&Tree::of_the_project()));
}

#[test]
fn no_file_names_a_package_registry_or_this_machine() {
    none(&sources::check_places(
        &Tree::of_the_project(),
        &sources::this_machine(),
    ));
}

#[test]
fn links_lead_somewhere() {
    none(&docs::check_links(&Tree::of_the_project()));
}

#[test]
fn the_changelog_has_room_for_the_next_release() {
    none(&docs::check_changelog(&Tree::of_the_project()));
}

#[test]
fn every_dependency_has_its_reason() {
    none(&docs::check_dependencies(&Tree::of_the_project()));
}

#[test]
fn the_exit_codes_page_is_complete() {
    none(&docs::check_exit_codes(
        &Tree::of_the_project(),
        &docs::exit_codes(),
    ));
}

#[test]
fn every_key_fault_has_a_case() {
    none(&faults::check_cases(
        &Tree::of_the_project(),
        &faults::codes(),
        faults::AWAITED,
    ));
}

#[test]
fn every_reason_has_a_page() {
    none(&reasons::check_page(
        &Tree::of_the_project(),
        &reasons::codes(),
    ));
}

#[test]
fn every_reason_has_a_case() {
    none(&reasons::check_cases(
        &Tree::of_the_project(),
        &reasons::codes(),
        reasons::AWAITED,
    ));
}
