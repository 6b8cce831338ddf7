//! The kernel's answer to "where did this accepted connection want to go?".

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd as _,
    time::Duration,
};

use aya::maps::{HashMap, MapData, MapError};
use gateway_common::{
    ABI_VERSION,
    flow::FlowKey,
    net::Address,
    option::{CHAPERONE_ORIGIN, SOL_CHAPERONE},
    origin::OriginRecord,
};
use tokio::net::TcpStream;

use super::{Origin, OriginError, Origins};
use crate::prim::{AgentAddr, CgroupId, OriginalDst};

/// Asks the kernel half, which has stored the origin with the accepted socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct KernelOrigins;

impl Origins for KernelOrigins {
    fn origin(&self, stream: &TcpStream, _agent: AgentAddr) -> Result<Origin, OriginError> {
        let record = record(stream)?;
        if record.abi != ABI_VERSION {
            return Err(OriginError::Abi { found: record.abi, expected: ABI_VERSION });
        }
        Ok(Origin {
            destination: OriginalDst(SocketAddr::new(ip(record.destination), record.destination_port)),
            cgroup: CgroupId(record.cgroup),
            pid: record.pid,
            uid: record.uid,
        })
    }
}

/// As [`std::net::IpAddr`]; a v4-mapped address becomes the IPv4 address it is.
pub(super) fn ip(address: Address) -> IpAddr {
    Ipv6Addr::from(address.octets()).to_canonical()
}

fn record(stream: &TcpStream) -> Result<OriginRecord, OriginError> {
    const SIZE: usize = size_of::<OriginRecord>();
    let mut bytes = [0_u8; SIZE];
    let mut len = libc::socklen_t::try_from(SIZE).unwrap_or(0);
    // SAFETY: the buffer is as long as `len` says, and both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            SOL_CHAPERONE,
            CHAPERONE_ORIGIN,
            bytes.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result != 0 {
        let error = io::Error::last_os_error();
        // Nobody answered: the socket has no origin, or the kernel half is not attached.
        return Err(match error.raw_os_error() {
            Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => OriginError::Unknown,
            _ => OriginError::Io(error),
        });
    }
    if usize::try_from(len).is_ok_and(|len| len == SIZE) {
        // SAFETY: the buffer has the record's size, and any bytes are a record (it is plain data).
        Ok(unsafe { bytes.as_ptr().cast::<OriginRecord>().read_unaligned() })
    } else {
        Err(OriginError::Unknown)
    }
}

/// Removes the flows of handshakes that began more than `age` ago and will never end, such as
/// those that met a full accept queue and were given up. Returns how many.
pub(super) fn sweep(
    flows: &mut HashMap<MapData, FlowKey, OriginRecord>,
    age: Duration,
) -> Result<usize, MapError> {
    let limit = monotonic().saturating_sub(age);
    let mut stale = Vec::new();
    for flow in flows.iter() {
        let (key, origin) = flow?;
        if Duration::from_nanos(origin.connected_ns) < limit {
            stale.push(key);
        }
    }
    let mut removed = 0;
    for key in stale {
        match flows.remove(&key) {
            Ok(()) => removed += 1,
            // Taken by its connection in the meantime.
            Err(MapError::KeyNotFound) => {}
            Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

/// The clock of `bpf_ktime_get_ns`.
fn monotonic() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure outlives the call, which cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}
