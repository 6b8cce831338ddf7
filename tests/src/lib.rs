//! test bench.
