//! Addresses as both halves hold them: one form for IPv4 and IPv6, so that there is one comparison.

/// `AF_INET` of Linux.
pub const AF_INET: u32 = 2;
/// `AF_INET6` of Linux.
pub const AF_INET6: u32 = 10;

/// An IPv6 address as four words in network byte order; IPv4 in its v4-mapped form
/// (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2). These are the words of the kernel's contexts.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(pub [u32; 4]);

const MAPPED: u32 = 0xffff_u32.to_be();

impl Address {
    /// `::`.
    pub const UNSPECIFIED: Self = Self([0; 4]);

    /// The v4-mapped form of an IPv4 address given as one word in network byte order.
    #[inline(always)]
    #[must_use]
    pub const fn from_v4_word(word: u32) -> Self {
        Self([0, 0, MAPPED, word])
    }

    /// From 16 octets in network byte order.
    #[must_use]
    pub const fn from_octets(o: [u8; 16]) -> Self {
        Self([
            u32::from_ne_bytes([o[0], o[1], o[2], o[3]]),
            u32::from_ne_bytes([o[4], o[5], o[6], o[7]]),
            u32::from_ne_bytes([o[8], o[9], o[10], o[11]]),
            u32::from_ne_bytes([o[12], o[13], o[14], o[15]]),
        ])
    }

    /// The 16 octets in network byte order.
    #[must_use]
    pub const fn octets(self) -> [u8; 16] {
        let [a, b, c, d] = [
            self.0[0].to_ne_bytes(),
            self.0[1].to_ne_bytes(),
            self.0[2].to_ne_bytes(),
            self.0[3].to_ne_bytes(),
        ];
        [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3], d[0], d[1], d[2], d[3]]
    }

    /// Whether this is an IPv4 address in its v4-mapped form.
    #[inline(always)]
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        self.0[0] == 0 && self.0[1] == 0 && self.0[2] == MAPPED
    }

    /// The last word, which is the whole IPv4 address where [`Self::is_v4`].
    #[inline(always)]
    #[must_use]
    pub const fn v4_word(&self) -> u32 {
        self.0[3]
    }

    /// Whether a connection to it stays on this host: 127.0.0.0/8, `::1`, and the unspecified
    /// addresses `0.0.0.0` and `::`, which Linux connects to the loopback.
    #[inline(always)]
    #[must_use]
    pub const fn is_local(&self) -> bool {
        let last = u32::from_be(self.0[3]);
        if self.is_v4() {
            last >> 24 == 127 || last == 0
        } else {
            self.0[0] == 0 && self.0[1] == 0 && self.0[2] == 0 && last <= 1
        }
    }
}

const _: () = assert!(size_of::<Address>() == 16 && align_of::<Address>() == 4);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Address;
    use std::net::{IpAddr, Ipv6Addr};

    fn address(text: &str) -> Address {
        let v6: Ipv6Addr = match text.parse().unwrap() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Address::from_octets(v6.octets())
    }

    #[test]
    fn octets_survive_the_round_trip() {
        let octets = *b"0123456789abcdef";
        assert_eq!(Address::from_octets(octets).octets(), octets);
    }

    #[test]
    fn mapped_is_one_form_with_v4() {
        let word = u32::from_ne_bytes([192, 0, 2, 1]);
        assert_eq!(Address::from_v4_word(word), address("192.0.2.1"));
        assert_eq!(Address::from_v4_word(word), address("::ffff:192.0.2.1"));
        assert_eq!(address("192.0.2.1").v4_word(), word);
        assert!(address("192.0.2.1").is_v4());
        assert!(!address("2001:db8::ffff:c000:201").is_v4());
    }

    #[test]
    fn local_is_what_linux_keeps_on_the_host() {
        let check = |text: &str, expected: bool| assert_eq!(address(text).is_local(), expected, "{text}");
        for local in
            ["127.0.0.1", "127.255.255.254", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "::ffff:0.0.0.0"]
        {
            check(local, true);
        }
        let elsewhere = [
            "128.0.0.1",
            "126.255.255.255",
            "0.0.0.1",
            "169.254.169.254",
            "10.0.0.1",
            "255.255.255.255",
            "::2",
            "::127.0.0.1",
            "fe80::1",
            "fd00:ec2::254",
            "2001:db8::1",
            "64:ff9b::7f00:1",
            "1::1",
        ];
        for other in elsewhere {
            check(other, false);
        }
    }
}
