//! Addresses that are everybody's, and others: the machine itself, networks that are somebody's own, and those that hide one of these in another
//! form.

use sandbox::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Of IPv4 not public (IANA's registry of special-purpose addresses): first address, and bits that count.
const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved, with the broadcast address.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// What is public of IPv6: all that is given out to the world, 2000::/3. So loopback, link-local, site-local, unique local and multicast addresses
/// are not, nor IPv4 that is mapped (::ffff:0:0/96) or translated (64:ff9b::/96, 64:ff9b:1::/48).
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// And of that not public.
const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    // Protocol assignments, with Teredo, benchmarking and ORCHID.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation, twice.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    // 6to4.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// Whether it may be connected to: it is public, or named.
pub(super) fn is_allowed(address: IpAddr, named: &[Network]) -> bool {
    is_public(address) || named.iter().any(|network| network.has(address))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let bits = |address: Ipv4Addr, count: u32| u32::from(address).checked_shr(32 - count);
            !SPECIAL_V4.iter().any(|(first, count)| bits(address, *count) == bits(*first, *count))
        }
        IpAddr::V6(address) => {
            let bits = |address: Ipv6Addr, count: u32| u128::from(address).checked_shr(128 - count);
            let has = |(first, count): &(Ipv6Addr, u32)| bits(address, *count) == bits(*first, *count);
            has(&GLOBAL_V6) && !SPECIAL_V6.iter().any(has)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| panic!("{text} is an address"))
    }

    /// The addresses of case R21, and the ends of all ranges.
    #[test]
    fn r21_addresses_that_are_not_public_are_known_in_every_form() {
        for text in [
            "127.0.0.1",
            "127.255.255.255",
            "0.0.0.0",
            "0.255.255.255",
            "169.254.169.254",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_public(address(text)), "{text}");
            // The same in the clothes of IPv6: mapped, compatible, translated by NAT64, 6to4 and Teredo.
            let IpAddr::V4(v4) = address(text) else { panic!("of IPv4") };
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for six in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, high, low, 0, 0, !high, !low),
            ] {
                assert!(!is_public(six.into()), "{six}");
            }
        }
        for text in [
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "fec0::1",
            "fe80::1",
            "fc00::1",
            "fdff::1",
            "ff02::1",
            "ff0e::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
        ] {
            assert!(!is_public(address(text)), "{text}");
        }
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2003::1",
            "2600::1",
            "2a00::1",
            "3ffe::1",
        ] {
            assert!(is_public(address(text)), "{text}");
        }
    }

    #[test]
    fn what_is_named_is_allowed_in_its_own_form_alone() {
        let named = ["127.0.0.0/8", "fd00:1::/32"].map(|text| Network::parse(text).expect("a network"));
        for text in ["127.0.0.1", "127.1.2.3", "fd00:1::9", "1.1.1.1"] {
            assert!(is_allowed(address(text), &named), "{text}");
        }
        for text in ["10.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00:2::9"] {
            assert!(!is_allowed(address(text), &named), "{text}");
        }
    }
}
