//! Requests with a known truth, and what the product makes of them.
//!
//! `tests/corpus/*.py` make them with botocore's and the AWS CLI's own serializers; here they go
//! through the product's public API, and what it read is held against what was meant. Nothing here
//! takes an expectation from the product.

mod golden;
mod line;
mod params;
mod reading;
mod source;
mod tally;
mod tamper;

pub use self::{
    golden::{Case, Expected, Golden, Verdict},
    line::{Line, Truth},
    params::{Difference, compare},
    reading::{ACCOUNT, NOW, Reading, Refusal, SKEW, placeholder, read, read_for},
    source::{Generated, Generator},
    tally::Tally,
    tamper::{Arriving, Tampered},
};
