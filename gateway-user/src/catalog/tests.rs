use super::*;

#[test]
fn the_table_of_the_program_is_read() {
    let catalog = catalog();
    assert!(catalog.services().len() > 400);
    let operations: usize = catalog.services().iter().map(|service| service.operations.len()).sum();
    assert!(operations > 19_000, "{operations}");
    assert!(catalog.actions().count() > 20_000);
    assert!(catalog.provenance().sources.iter().any(|source| source.name == "botocore"));
}
