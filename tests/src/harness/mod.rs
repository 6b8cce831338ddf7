//! The daemon, its cgroups and real clients, started and cleaned up.
