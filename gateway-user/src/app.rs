//! Builds every stage, binds everything, then serves until told to stop.
