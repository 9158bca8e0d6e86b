//! docs/models/EXPRESSIONS.md is what the compilers' tables say.

use expect_test::expect_file;

#[test]
fn the_document_is_up_to_date() {
    expect_file!["../../../docs/models/EXPRESSIONS.md"].assert_eq(&mesh_expr::reference());
}
