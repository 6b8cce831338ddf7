//! What the original destination alone decides. *pure*

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::RouteError;
use crate::{identify::Egress, prim::OriginalDst};

/// The addresses at which AWS serves instance, task and pod credentials: IMDS (v4, v6), ECS, and
/// the EKS Pod Identity agent (v4, v6).
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23)),
];

/// What a destination asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// The metadata endpoint.
    Metadata,
    /// A port that must speak TLS with a server name; the name decides.
    Tls(u16),
    /// Anything else, which the egress lets through.
    Other(SocketAddr),
}

/// Judges a destination before a byte is read. `own` are the gateway's listeners.
///
/// # Errors
/// [`RouteError::Loop`], [`RouteError::MetadataPort`], [`RouteError::EgressClosed`].
pub(super) fn judge(
    destination: OriginalDst,
    egress: Egress,
    own: &[SocketAddr],
) -> Result<Destination, RouteError> {
    let address = canonical(destination.0);
    if is_this_host(address.ip()) || is_listener(address, own) {
        return Err(RouteError::Loop);
    }
    if is_metadata(address.ip()) {
        return match address.port() {
            80 => Ok(Destination::Metadata),
            port => Err(RouteError::MetadataPort(port)),
        };
    }
    match (address.port(), egress) {
        (443, Egress::Aws | Egress::Open) => Ok(Destination::Tls(443)),
        (_, Egress::Open) => Ok(Destination::Other(address)),
        (_, Egress::Aws) => Err(RouteError::EgressClosed),
    }
}

/// The same address with a v4-mapped IPv6 address written as IPv4, which is where the kernel
/// connects it to.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Loopback, or the unspecified address, which Linux connects to loopback.
pub(super) fn is_this_host(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 0)
}

/// One of the metadata addresses, on any port.
pub(super) fn is_metadata(ip: IpAddr) -> bool {
    METADATA.contains(&ip)
}

/// One of the gateway's own listeners; a listener on the unspecified address owns its port.
pub(super) fn is_listener(address: SocketAddr, own: &[SocketAddr]) -> bool {
    own.iter().map(|listener| canonical(*listener)).any(|listener| {
        listener.port() == address.port() && (listener.ip() == address.ip() || listener.ip().is_unspecified())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &[&str] = &["127.65.87.1:4143", "10.0.0.5:4143", "[::1]:4143"];

    #[track_caller]
    fn check(destination: &str, egress: Egress, expected: Result<Destination, RouteError>) {
        let own: Vec<SocketAddr> = OWN.iter().map(|text| text.parse().unwrap()).collect();
        let destination = OriginalDst(destination.parse().unwrap());
        assert_eq!(judge(destination, egress, &own), expected, "{destination:?} {egress:?}");
    }

    #[test]
    fn the_gateway_itself_is_a_loop() {
        for egress in [Egress::Aws, Egress::Open] {
            for text in [
                "127.65.87.1:4143",
                "127.0.0.1:443",
                "127.255.255.254:80",
                "[::1]:443",
                "[::ffff:127.0.0.1]:443",
                "0.0.0.0:4143",
                "0.1.2.3:443",
                "[::]:443",
                "10.0.0.5:4143",
                "[::ffff:10.0.0.5]:4143",
            ] {
                check(text, egress, Err(RouteError::Loop));
            }
        }
    }

    #[test]
    fn metadata_addresses_answer_on_port_80_only() {
        for egress in [Egress::Aws, Egress::Open] {
            for ip in [
                "169.254.169.254",
                "[fd00:ec2::254]",
                "169.254.170.2",
                "169.254.170.23",
                "[fd00:ec2::23]",
                "[::ffff:169.254.169.254]",
                "[::ffff:169.254.170.2]",
            ] {
                check(&format!("{ip}:80"), egress, Ok(Destination::Metadata));
                for port in [443, 8080, 1338] {
                    check(&format!("{ip}:{port}"), egress, Err(RouteError::MetadataPort(port)));
                }
            }
        }
    }

    #[test]
    fn port_443_is_decided_by_its_name_in_every_egress() {
        for text in ["192.0.2.1:443", "[2001:db8::1]:443", "[::ffff:192.0.2.1]:443", "10.0.0.5:443"] {
            check(text, Egress::Aws, Ok(Destination::Tls(443)));
            check(text, Egress::Open, Ok(Destination::Tls(443)));
        }
    }

    #[test]
    fn other_ports_follow_the_egress() {
        for text in ["192.0.2.1:80", "192.0.2.1:22", "[2001:db8::1]:8443", "169.254.1.1:80"] {
            check(text, Egress::Aws, Err(RouteError::EgressClosed));
            check(text, Egress::Open, Ok(Destination::Other(text.parse().unwrap())));
        }
        let mapped = "[::ffff:192.0.2.1]:22";
        check(mapped, Egress::Open, Ok(Destination::Other("192.0.2.1:22".parse().unwrap())));
    }

    #[test]
    fn a_listener_on_every_address_owns_its_port() {
        let own = ["0.0.0.0:4143".parse().unwrap()];
        assert!(is_listener("192.0.2.1:4143".parse().unwrap(), &own));
        assert!(!is_listener("192.0.2.1:443".parse().unwrap(), &own));
    }
}
