//! The socket options that the kernel half answers for the daemon's accepted sockets.

/// `level` of the private option; no protocol of Linux uses it.
pub const SOL_CHAPERONE: i32 = 0x4348;
/// `optname` of the private option, which returns an [`crate::origin::OriginRecord`].
pub const CHAPERONE_ORIGIN: i32 = 1;

/// `SOL_IP` of Linux.
pub const SOL_IP: i32 = 0;
/// `SOL_IPV6` of Linux.
pub const SOL_IPV6: i32 = 41;
/// `SO_ORIGINAL_DST` and `IP6T_SO_ORIGINAL_DST` of Linux: a `sockaddr_in` at level [`SOL_IP`], a
/// `sockaddr_in6` at level [`SOL_IPV6`], as netfilter answers it.
pub const SO_ORIGINAL_DST: i32 = 80;
/// Size of a `sockaddr_in`.
pub const SOCKADDR_IN_LEN: usize = 16;
/// Size of a `sockaddr_in6`.
pub const SOCKADDR_IN6_LEN: usize = 28;
