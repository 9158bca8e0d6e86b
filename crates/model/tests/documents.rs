//! The tables in docs/ are what the code says.

use expect_test::expect_file;

#[test]
fn every_window_element_is_in_the_document() {
    expect_file!["../../../docs/models/WINDOWS.md"].assert_eq(&mesh_model::windows_document());
}

#[test]
fn every_algorithm_is_in_the_document() {
    expect_file!["../../../docs/models/ALGORITHMS.md"].assert_eq(&mesh_model::algorithms_document());
}

#[test]
fn every_element_and_function_is_in_one_table() {
    expect_file!["../../../docs/MODELS.md"].assert_eq(&mesh_model::models_document());
}
