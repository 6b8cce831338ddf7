//! `chaperone run`: starts a command inside its session's cgroup.
