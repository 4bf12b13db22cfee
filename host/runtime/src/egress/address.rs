//! Which addresses a guest may never reach, in whatever way they are written.
//!
//! The rule names what is forbidden by the registries of IANA for special-purpose addresses (RFC 6890 and its updates)
//! and unwraps each form of IPv6 that carries an IPv4 address, so that no spelling of the credential endpoint is an
//! address of another kind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// Credentials and metadata of the task, the pod or the instance.
    Metadata,
    /// 169.254.0.0/16, fe80::/10: services of the platform.
    LinkLocal,
    /// This machine.
    Loopback,
    /// Networks behind a border, carrier-grade NAT among them.
    Private,
    /// Many receivers.
    Multicast,
    /// Reserved, for documentation, unspecified, or of no global meaning.
    Special,
}

impl Forbidden {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata or credentials of the platform",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Multicast => "multicast",
            Self::Special => "reserved",
        }
    }
}

/// Instance metadata, ECS metadata and credentials, EKS Pod Identity.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(169, 254, 170, 2), Ipv4Addr::new(169, 254, 170, 23)];
/// Where AWS keeps the services of the instance in IPv6; ::254 is metadata, ::23 Pod Identity, ::253 DNS, ::123 time.
const METADATA_V6: [u16; 2] = [0xfd00, 0x0ec2];

/// None: an ordinary address of the Internet.
pub(crate) fn forbidden(ip: IpAddr) -> Option<Forbidden> {
    match ip {
        IpAddr::V4(ip) => forbidden_v4(ip),
        IpAddr::V6(ip) => forbidden_v6(ip),
    }
}

fn forbidden_v4(ip: Ipv4Addr) -> Option<Forbidden> {
    let octets = ip.octets();
    let why = match octets {
        _ if METADATA_V4.contains(&ip) => Forbidden::Metadata,
        [169, 254, ..] => Forbidden::LinkLocal,
        [127, ..] => Forbidden::Loopback,
        [100, 64..=127, ..] => Forbidden::Private,
        _ if ip.is_private() => Forbidden::Private,
        [224..=239, ..] => Forbidden::Multicast,
        // "This network", IETF protocols, the relay of 6to4, benchmarks, documentation, reserved and broadcast.
        [0, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] | [240..=255, ..] => Forbidden::Special,
        _ if ip.is_documentation() => Forbidden::Special,
        _ => return None,
    };
    Some(why)
}

fn forbidden_v6(ip: Ipv6Addr) -> Option<Forbidden> {
    if let Some(inner) = carried(ip) {
        // Global ones are out too: a carried address is reached through a translator that is not ours to judge.
        return Some(forbidden_v4(inner).unwrap_or(Forbidden::Special));
    }
    let segments = ip.segments();
    let why = match segments {
        [a, b, ..] if [a, b] == METADATA_V6 => Forbidden::Metadata,
        _ if ip.is_loopback() => Forbidden::Loopback,
        [0xfe80..=0xfebf, ..] => Forbidden::LinkLocal,
        [0xfec0..=0xfeff, ..] | [0xfc00..=0xfdff, ..] => Forbidden::Private,
        [0xff00..=0xffff, ..] => Forbidden::Multicast,
        // Inside the only global block: protocols of the IETF (Teredo is among them), documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Forbidden::Special,
        [0x2000..=0x3fff, ..] => return None,
        _ => Forbidden::Special,
    };
    Some(why)
}

/// The IPv4 address that an IPv6 address stands for.
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => None,
        // Mapped, translated (SIIT), compatible.
        [0, 0, 0, 0, 0, 0xffff | 0, h, l] | [0, 0, 0, 0, 0xffff, 0, h, l] => Some(v4(h, l)),
        // NAT64, well-known and local prefix.
        [0x64, 0xff9b, 0, 0, 0, 0, h, l] | [0x64, 0xff9b, 1, _, _, _, h, l] => Some(v4(h, l)),
        // 6to4.
        [0x2002, h, l, ..] => Some(v4(h, l)),
        // Teredo: the client's address, every bit turned over.
        [0x2001, 0, _, _, _, _, h, l] => Some(v4(!h, !l)),
        // ISATAP.
        [_, _, _, _, 0 | 0x0200, 0x5efe, h, l] => Some(v4(h, l)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<Forbidden> {
        forbidden(text.parse().unwrap())
    }

    #[test]
    fn no_spelling_of_the_metadata_addresses_is_another_address() {
        for bare in ["169.254.169.254", "169.254.170.2", "169.254.170.23"] {
            let ip: Ipv4Addr = bare.parse().unwrap();
            let [a, b, c, d] = ip.octets();
            let hex = format!("{a:02x}{b:02x}:{c:02x}{d:02x}");
            let inverted = format!("{:02x}{:02x}:{:02x}{:02x}", !a, !b, !c, !d);
            let spellings = [
                bare.to_owned(),
                format!("::ffff:{bare}"),
                format!("::ffff:0:{bare}"),
                format!("::{bare}"),
                format!("64:ff9b::{bare}"),
                format!("64:ff9b:1::{bare}"),
                format!("64:ff9b:1:dead:beef:7:{hex}"),
                format!("2002:{hex}::"),
                format!("2002:{hex}::1"),
                format!("2001:0:1::{inverted}"),
                format!("2a00:1:2:3:0:5efe:{hex}"),
            ];
            for spelling in spellings {
                assert_eq!(check(&spelling), Some(Forbidden::Metadata), "{spelling}");
            }
        }
        for spelling in ["fd00:ec2::254", "fd00:ec2::23", "fd00:0ec2:0:0:0:0:0:253", "fd00:ec2::123"] {
            assert_eq!(check(spelling), Some(Forbidden::Metadata), "{spelling}");
        }
    }

    #[test]
    fn what_is_not_of_the_internet_is_out_of_reach() {
        let table = [
            ("169.254.169.123", Forbidden::LinkLocal),
            ("169.254.20.10", Forbidden::LinkLocal),
            ("fe80::1", Forbidden::LinkLocal),
            ("127.0.0.1", Forbidden::Loopback),
            ("127.255.255.254", Forbidden::Loopback),
            ("::1", Forbidden::Loopback),
            ("::ffff:127.0.0.1", Forbidden::Loopback),
            ("10.0.0.1", Forbidden::Private),
            ("172.16.0.1", Forbidden::Private),
            ("172.31.255.255", Forbidden::Private),
            ("192.168.0.1", Forbidden::Private),
            ("100.64.0.1", Forbidden::Private),
            ("100.127.255.255", Forbidden::Private),
            ("fc00::1", Forbidden::Private),
            ("fd12:3456::1", Forbidden::Private),
            ("fec0::1", Forbidden::Private),
            ("224.0.0.1", Forbidden::Multicast),
            ("239.255.255.250", Forbidden::Multicast),
            ("ff02::1", Forbidden::Multicast),
            ("0.0.0.0", Forbidden::Special),
            ("0.1.2.3", Forbidden::Special),
            ("192.0.0.170", Forbidden::Special),
            ("192.0.2.1", Forbidden::Special),
            ("192.88.99.1", Forbidden::Special),
            ("198.18.0.1", Forbidden::Special),
            ("198.51.100.1", Forbidden::Special),
            ("203.0.113.1", Forbidden::Special),
            ("240.0.0.1", Forbidden::Special),
            ("255.255.255.255", Forbidden::Special),
            ("::", Forbidden::Special),
            ("100::1", Forbidden::Special),
            ("2001:db8::1", Forbidden::Special),
            ("3fff::1", Forbidden::Special),
            ("4000::1", Forbidden::Special),
            ("::ffff:8.8.8.8", Forbidden::Special),
            ("64:ff9b::8.8.8.8", Forbidden::Special),
            ("2002:808:808::1", Forbidden::Special),
        ];
        for (text, why) in table {
            assert_eq!(check(text), Some(why), "{text}");
        }
    }

    #[test]
    fn ordinary_addresses_are_open() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "169.253.1.1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert_eq!(check(text), None, "{text}");
        }
    }

    /// The same rule for IPv4, told by the methods of the standard library.
    #[test]
    fn whatever_is_open_is_global() {
        for bits in (0..=u32::MAX).step_by(65_521) {
            let ip = Ipv4Addr::from(bits);
            let local = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast();
            let odd = ip.is_unspecified() || ip.is_broadcast() || ip.is_documentation();
            assert!(!(local || odd) || forbidden(ip.into()).is_some(), "{ip}");
            assert!(forbidden(ip.to_ipv6_mapped().into()).is_some(), "{ip} mapped");
            assert!(forbidden(ip.to_ipv6_compatible().into()).is_some(), "{ip} compatible");
        }
    }
}
