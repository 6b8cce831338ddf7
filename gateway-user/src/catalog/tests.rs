use super::*;

#[test]
fn the_table_of_the_program_is_read() {
    let catalog = catalog();
    assert!(catalog.services().len() > 400);
    let mut operations = 0;
    for service in catalog.services() {
        let body = load::body(service.prefix, service.lines);
        operations += body.unwrap_or_else(|error| panic!("{}: {error}", service.name)).operations.len();
    }
    assert!(operations > 19_000, "{operations}");
    assert!(catalog.actions().count() > 20_000);
    assert!(catalog.provenance().sources.iter().any(|source| source.name == "botocore"));
}
