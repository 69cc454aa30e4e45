//! The published schema is the one that is served.

use std::path::Path;

#[test]
fn the_published_schema_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema.graphql");
    let served = server::definition();
    if std::env::var_os("RUNYARD_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &served).expect("writes");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        served == published,
        "docs/schema.graphql is not what is served; look at what changed and run RUNYARD_WRITE_SCHEMA=1 cargo test -p server schema"
    );
}
