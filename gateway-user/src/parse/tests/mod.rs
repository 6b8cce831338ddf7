//! The cases, by concept.

use super::{RequestDigest, VerifiedRequest};

mod bad_input;
mod differential;
mod owner;
mod presigned;
mod shape;
mod suite;
mod vectors;

/// What the doctest of [`VerifiedRequest`] must not write compiles here, where its fields are to be seen: privacy alone forbids it.
#[test]
fn only_privacy_forbids_to_forge_a_verified_request() {
    let _forge = |request, by| VerifiedRequest { request, body: None, digest: RequestDigest([0; 32]), by };
}
