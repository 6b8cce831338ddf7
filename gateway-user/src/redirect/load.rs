//! Loads the embedded object: adopts the pinned maps or makes them, and tells the kernel half where
//! the listeners are.

use std::{
    collections::HashMap as StdHashMap,
    fs, io,
    net::{SocketAddr, UdpSocket},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::Path,
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, Map, MapData, MapInfo, MapType, PerCpuArray, RingBuf},
    programs::Program,
};
use gateway_common::{
    ABI_VERSION,
    counter::Counter,
    event::EVENTS_BYTES,
    flow::{FlowKey, MAX_FLOWS},
    net::Address,
    origin::OriginRecord,
    settings::{Listener, Listeners, MAX_LISTENERS, Settings},
};

use super::{Config, RedirectError, cgroup::Cgroup, pins::remove_pin};

/// The kernel half, built by `build.rs`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/chaperone.o"));

/// SHA-256 of the embedded object, in hexadecimal: which kernel half this is.
#[must_use]
pub fn object_digest() -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, OBJECT))
}

/// The maps that the user half reads or writes.
pub(super) struct Maps {
    pub settings: Array<MapData, Settings>,
    pub flows: HashMap<MapData, FlowKey, OriginRecord>,
    pub counters: PerCpuArray<MapData, u64>,
}

/// The programs by name, attached to nothing yet.
pub(super) type Programs = StdHashMap<&'static str, OwnedFd>;

/// Loads the programs named, with the maps pinned below `pins`.
pub(super) fn load(
    pins: &Path,
    programs: &[&'static str],
) -> Result<(Programs, Maps, RingBuf<MapData>), RedirectError> {
    drop_incompatible(pins)?;
    let mut loader = EbpfLoader::new();
    for shape in &MAPS {
        loader.map_pin_path(shape.name, pins.join(shape.name));
    }
    let mut ebpf = loader.load(OBJECT).map_err(|error| RedirectError::Object(Box::new(error)))?;
    let programs =
        programs.iter().map(|name| Ok((*name, load_program(&mut ebpf, name)?))).collect::<Result<_, _>>()?;
    let maps = Maps {
        settings: map(&mut ebpf, "SETTINGS")?,
        flows: map(&mut ebpf, "FLOWS")?,
        counters: map(&mut ebpf, "COUNTERS")?,
    };
    Ok((programs, maps, map(&mut ebpf, "EVENTS")?))
}

/// What the kernel half shall know: the listeners, and what makes a task one of the agents.
pub(super) fn settings(config: &Config, slice: &Cgroup) -> Result<Settings, RedirectError> {
    Ok(Settings {
        abi: ABI_VERSION,
        slice_level: slice.level(),
        slice: slice.id.0,
        netns: netns_cookie().map_err(RedirectError::NetworkNamespace)?,
        v4: listeners(&config.listen_v4, SocketAddr::is_ipv4, "listen_v4")?,
        v6: listeners(&config.listen_v6, SocketAddr::is_ipv6, "listen_v6")?,
    })
}

impl Maps {
    /// Writes the settings unless they are in force already: programs of the previous start may be
    /// reading them.
    pub(super) fn configure(&mut self, wanted: &Settings) -> Result<(), RedirectError> {
        let failed = |source| RedirectError::Map { name: "SETTINGS", source: Box::new(source) };
        if self.settings.get(&0, 0).map_err(failed)? == *wanted {
            return Ok(());
        }
        self.settings.set(0, wanted, 0).map_err(failed)
    }

    /// The sum of a counter over the CPUs.
    pub(super) fn count(&self, slot: u32) -> Result<u64, RedirectError> {
        let per_cpu = self
            .counters
            .get(&slot, 0)
            .map_err(|source| RedirectError::Map { name: "COUNTERS", source: Box::new(source) })?;
        Ok(per_cpu.iter().sum())
    }
}

/// The names of all maps, which are the names of their pins.
pub(super) fn map_names() -> impl Iterator<Item = &'static str> {
    MAPS.iter().map(|shape| shape.name)
}

/// A map as this build expects it; a pinned map of another shape belongs to another build.
struct Shape {
    name: &'static str,
    kind: MapType,
    key: usize,
    value: usize,
    entries: usize,
}

const MAPS: [Shape; 6] = [
    Shape { name: "SETTINGS", kind: MapType::Array, key: 4, value: size_of::<Settings>(), entries: 1 },
    Shape { name: "ORIGINS", kind: MapType::SkStorage, key: 4, value: size_of::<OriginRecord>(), entries: 0 },
    Shape {
        name: "ACCEPTED",
        kind: MapType::SkStorage,
        key: 4,
        value: size_of::<OriginRecord>(),
        entries: 0,
    },
    Shape {
        name: "FLOWS",
        kind: MapType::Hash,
        key: size_of::<FlowKey>(),
        value: size_of::<OriginRecord>(),
        entries: MAX_FLOWS,
    },
    Shape { name: "EVENTS", kind: MapType::RingBuf, key: 0, value: 0, entries: EVENTS_BYTES },
    Shape {
        name: "COUNTERS",
        kind: MapType::PerCpuArray,
        key: 4,
        value: size_of::<u64>(),
        entries: Counter::SLOTS as usize,
    },
];

/// Removes the pins of another build's maps. Its programs stay attached and keep their maps until
/// each link is updated, so the agents are never without a fence; connections whose handshake falls
/// into that moment have no origin and are closed.
fn drop_incompatible(pins: &Path) -> Result<(), RedirectError> {
    let mut compatible = true;
    for shape in &MAPS {
        let path = pins.join(shape.name);
        if !path.exists() {
            continue;
        }
        compatible &= MapInfo::from_pin(&path).is_ok_and(|info| shape.fits(&info));
    }
    if compatible && abi_of_pinned(pins).is_none_or(|abi| abi == ABI_VERSION) {
        return Ok(());
    }
    tracing::warn!(pins = %pins.display(), "the pinned maps are of another build: replacing them");
    for name in map_names() {
        remove_pin(&pins.join(name))?;
    }
    Ok(())
}

impl Shape {
    fn fits(&self, info: &MapInfo) -> bool {
        let same = |found: u32, wanted: usize| usize::try_from(found).is_ok_and(|found| found == wanted);
        info.map_type().is_ok_and(|kind| kind == self.kind)
            && same(info.key_size(), self.key)
            && same(info.value_size(), self.value)
            && same(info.max_entries(), self.entries)
    }
}

/// The ABI version that the pinned settings were written with; `None` where nothing was written.
fn abi_of_pinned(pins: &Path) -> Option<u32> {
    let data = MapData::from_pin(pins.join("SETTINGS")).ok()?;
    let settings: Array<_, Settings> = Map::from_map_data(data).ok()?.try_into().ok()?;
    settings.get(&0, 0).ok().map(|settings| settings.abi).filter(|abi| *abi != 0)
}

fn map<T: TryFrom<Map, Error = aya::maps::MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<T, RedirectError> {
    let map = ebpf.take_map(name).ok_or(RedirectError::Incomplete { name })?;
    T::try_from(map).map_err(|source| RedirectError::Map { name, source: Box::new(source) })
}

fn load_program(ebpf: &mut Ebpf, name: &'static str) -> Result<OwnedFd, RedirectError> {
    let failed = |source| RedirectError::Program { name, source: Box::new(source) };
    let program = ebpf.program_mut(name).ok_or(RedirectError::Incomplete { name })?;
    match program {
        Program::CgroupSockAddr(program) => program.load(),
        Program::SockOps(program) => program.load(),
        Program::CgroupSockopt(program) => program.load(),
        _ => return Err(RedirectError::Incomplete { name }),
    }
    .map_err(failed)?;
    let fd = program.fd().map_err(failed)?;
    fd.as_fd().try_clone_to_owned().map_err(|error| failed(error.into()))
}

fn listeners(
    addresses: &[SocketAddr],
    family: fn(&SocketAddr) -> bool,
    field: &'static str,
) -> Result<Listeners, RedirectError> {
    let invalid = |reason: String| RedirectError::Listeners { field, reason };
    let mut all = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !family(address) || !address.ip().is_loopback() || address.port() == 0 {
            return Err(invalid(format!("{address} is not a loopback address of its family with a port")));
        }
        let octets = match address {
            SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped().octets(),
            SocketAddr::V6(v6) => v6.ip().octets(),
        };
        all.push(Listener { address: Address::from_octets(octets), port: address.port(), reserved: 0 });
    }
    for taken in addresses.iter().filter(|address| is_ephemeral(address.port())) {
        // Linux may give the port to an agent that asks for none in particular while we are down.
        tracing::warn!(%taken, "{field}: the port lies in net.ipv4.ip_local_port_range; choose one below it");
    }
    Listeners::new(&all).ok_or_else(|| invalid(format!("at most {MAX_LISTENERS} addresses are allowed")))
}

/// Whether Linux gives this port to sockets that do not ask for one.
fn is_ephemeral(port: u16) -> bool {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut bounds = range.split_ascii_whitespace().map(str::parse::<u16>);
    matches!((bounds.next(), bounds.next()), (Some(Ok(low)), Some(Ok(high))) if (low..=high).contains(&port))
}

/// The cookie of our network namespace (Linux 5.14).
fn netns_cookie() -> io::Result<u64> {
    let socket = UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let mut cookie = 0_u64;
    let mut len = libc::socklen_t::try_from(size_of::<u64>()).unwrap_or(0);
    // SAFETY: the buffer is as long as `len` says, and both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            std::ptr::from_mut(&mut cookie).cast(),
            &raw mut len,
        )
    };
    if result == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_loopback_addresses_of_their_family() {
        let check = |addresses: &[&str], expected: Result<u32, &str>| {
            let addresses: Vec<SocketAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
            let found = listeners(&addresses, SocketAddr::is_ipv4, "listen_v4");
            match (found, expected) {
                (Ok(found), Ok(count)) => assert_eq!(found.count, count),
                (Err(error), Err(text)) => assert_eq!(error.to_string(), text),
                (found, expected) => panic!("{addresses:?}: {found:?}, not {expected:?}"),
            }
        };
        check(&["127.65.87.1:4143", "127.65.87.2:4143"], Ok(2));
        check(&[], Ok(0));
        let refused = |address: &str| {
            format!("listen_v4: {address} is not a loopback address of its family with a port")
        };
        check(&["192.0.2.1:4143"], Err(&refused("192.0.2.1:4143")));
        check(&["[::1]:4143"], Err(&refused("[::1]:4143")));
        check(&["127.0.0.1:0"], Err(&refused("127.0.0.1:0")));
        check(&["127.0.0.1:1"; 9], Err("listen_v4: at most 8 addresses are allowed"));
    }

    #[test]
    fn an_object_is_embedded() {
        assert!(OBJECT.starts_with(b"\x7fELF"));
        assert_eq!(object_digest().len(), 64);
    }
}
