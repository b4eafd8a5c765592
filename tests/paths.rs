//! Which path two sides take to each other, by how each of them reaches the internet.
//!
//! Some of the cells of the table in `netlab/README.md`; the program `paths` goes through all of them.

#![expect(clippy::print_stdout, reason = "how long it takes is worth seeing")]

use std::time::Duration;

use crate::crossing::{Crossing, LEN, Path, Turn, cross, expected, send_between, send_with};
use crate::harness::Ended;
use crate::netlab::{Access, Internet, SERVER_V4};

/// Two sides take the path of the table. Without root nothing is shown.
#[track_caller]
fn take(path: Path, one: Access, other: Access, turn: Turn) {
    assert_eq!(expected(one, other, turn), path, "the table");
    let Some(internet) = Internet::new() else { return };
    let crossing = cross(&internet, [one, other], turn, LEN);
    println!("{}, {}, TURN {turn:?}: {crossing}", one.name(), other.name());
    assert!(crossing.may_be(path), "{crossing}");
}

#[test]
fn two_open_machines_meet_directly() {
    take(Path::Direct, Access::Open, Access::Open, Turn::Missing);
}

#[test]
fn two_ordinary_routers_are_crossed() {
    take(Path::Direct, Access::PortRestricted, Access::PortRestricted, Turn::Missing);
}

#[test]
fn a_relay_is_not_used_where_there_is_a_direct_path() {
    take(Path::Direct, Access::PortRestricted, Access::AddressRestricted, Turn::Offered);
}

#[test]
fn a_full_cone_lets_in_a_router_whose_ports_nobody_can_foresee() {
    take(Path::Direct, Access::SymmetricRandom, Access::FullCone, Turn::Missing);
}

#[test]
fn an_address_restricted_router_lets_in_a_symmetric_one() {
    take(Path::Direct, Access::AddressRestricted, Access::Symmetric, Turn::Missing);
}

#[test]
fn a_symmetric_and_an_ordinary_router_need_a_turn_server() {
    take(Path::Turn, Access::PortRestricted, Access::SymmetricRandom, Turn::Alone);
}

#[test]
fn without_a_relay_two_symmetric_routers_are_told_that_there_is_no_path() {
    take(Path::None, Access::Symmetric, Access::SymmetricRandom, Turn::Nothing);
}

#[test]
fn two_symmetric_routers_reach_each_other_through_the_rendezvous() {
    take(Path::Relay, Access::Symmetric, Access::SymmetricRandom, Turn::Missing);
}

#[test]
fn where_no_udp_gets_out_the_rendezvous_passes_everything_on() {
    take(Path::Relay, Access::UdpBlocked, Access::Open, Turn::Offered);
}

#[test]
fn where_the_port_of_https_is_all_that_gets_out_the_rendezvous_passes_everything_on() {
    take(Path::Relay, Access::HttpsOnly, Access::PortRestricted, Turn::Offered);
}

#[test]
fn behind_a_proxy_alone_the_rendezvous_passes_everything_on() {
    take(Path::Relay, Access::Ipv6Only, Access::ProxyOnly, Turn::Offered);
}

#[test]
fn two_sides_that_reach_nothing_but_proxies_of_their_own_reach_each_other() {
    take(Path::Relay, Access::ProxyOnly, Access::ProxyOnly, Turn::Missing);
}

#[test]
fn where_only_the_server_is_reached_and_it_has_no_relay_there_is_no_path() {
    take(Path::None, Access::HttpsOnly, Access::Open, Turn::Alone);
}

#[test]
fn many_megabytes_go_through_the_rendezvous_where_nothing_else_gets_out() {
    let Some(internet) = Internet::new() else { return };
    let kinds = [Access::UdpBlocked, Access::UdpBlocked];
    let [one, other] = [(1, kinds[0]), (2, kinds[1])].map(|(number, kind)| internet.connect(number, kind));
    let sides = [(&one, kinds[0]), (&other, kinds[1])];
    let crossing = send_between(&internet, sides, Turn::Missing, 20_000_000);
    println!("{crossing}");
    assert_eq!(crossing.path, Path::Relay);
}

#[test]
fn who_uses_no_relay_does_not_use_that_of_the_rendezvous_either() {
    let Some(internet) = Internet::new() else { return };
    let [one, other] = [1, 2].map(|number| internet.connect(number, Access::UdpBlocked));
    let sides = [(&one, Access::UdpBlocked), (&other, Access::UdpBlocked)];
    let (crossing, _) = send_with(&internet, sides, (Turn::Missing, LEN), [&[], &["--no-relay"]]);
    assert_eq!(crossing.path, Path::None);
}

#[test]
fn two_firewalls_of_ipv6_are_crossed() {
    take(Path::Direct, Access::Ipv6Only, Access::Ipv6Only, Turn::Missing);
}

#[test]
fn a_turn_server_joins_ipv4_and_ipv6() {
    take(Path::Turn, Access::Ipv6Only, Access::Ipv4Only, Turn::Alone);
}

#[test]
fn two_machines_at_one_router_meet_on_their_own_network() {
    let Some(internet) = Internet::new() else { return };
    let [one, other] = internet.connect_beside(1);
    let sides = [(&one, Access::PortRestricted), (&other, Access::PortRestricted)];
    let crossing = send_between(&internet, sides, Turn::Offered, LEN);
    println!("{crossing}");
    assert_eq!(crossing.path, Path::Local);
}

#[test]
fn many_megabytes_go_through_a_turn_server() {
    let Some(internet) = Internet::new() else { return };
    let kinds = [Access::Symmetric, Access::Symmetric];
    let [one, other] = [(1, kinds[0]), (2, kinds[1])].map(|(number, kind)| internet.connect(number, kind));
    let sides = [(&one, kinds[0]), (&other, kinds[1])];
    let crossing = send_between(&internet, sides, Turn::Alone, 8_000_000);
    println!("{crossing}");
    assert_eq!(crossing.path, Path::Turn);
}

/// Two open machines, each with flags of its own.
fn open_with(turn: Turn, flags: [&[&str]; 2]) -> Option<(Crossing, [Ended; 2])> {
    let internet = Internet::new()?;
    let [one, other] = [1, 2].map(|number| internet.connect(number, Access::Open));
    let sides = [(&one, Access::Open), (&other, Access::Open)];
    Some(send_with(&internet, sides, (turn, LEN), flags))
}

#[test]
fn who_uses_relays_only_tells_the_other_side_no_address() {
    let Some((crossing, [_, received])) = open_with(Turn::Alone, [&["--relay-only"], &["-vv"]]) else {
        return;
    };
    assert_eq!(crossing.path, Path::Turn);
    assert!(received.err.contains(&format!("{SERVER_V4} ")), "the relay's: {received:?}");
    for own in ["100.0.0.21", "2001:db8::21"] {
        assert!(!received.err.contains(own), "{own}: {received:?}");
    }
}

#[test]
fn where_there_is_no_relay_who_uses_nothing_else_is_told_so_at_once() {
    let Some((crossing, [sent, received])) = open_with(Turn::Nothing, [&["--relay-only"], &[]]) else {
        return;
    };
    assert!(crossing.path == Path::None && crossing.took < Duration::from_secs(10), "{crossing}");
    sent.failed("no_relay", 5);
    received.failed("no_path", 5);
}

#[test]
fn the_relay_of_the_rendezvous_is_one_for_who_uses_relays_only() {
    for flags in [[&["--relay-only"][..], &["-vv"]], [&["-vv"], &["--relay-only"]]] {
        let Some((crossing, ended)) = open_with(Turn::Missing, flags) else { return };
        assert_eq!(crossing.path, Path::Relay);
        let [shy, other] = if flags[0][0] == "--relay-only" { [0, 1] } else { [1, 0] };
        for own in [format!("100.0.0.{} ", 21 + shy), format!("2001:db8::{} ", 21 + shy)] {
            assert!(!ended[other].err.contains(&own), "{own}: {:?}", ended[other]);
        }
    }
}

#[test]
fn one_family_can_be_chosen() {
    for (flag, address) in [("--ipv4", "100.0.0.22 "), ("--ipv6", "2001:db8::22 ")] {
        let Some((crossing, [sent, _])) = open_with(Turn::Missing, [&["-vv"], &[flag]]) else { return };
        assert_eq!(crossing.path, Path::Direct);
        let theirs = sent.err.lines().filter(|line| line.contains("of the other side"));
        assert!(theirs.clone().count() > 0 && theirs.clone().all(|line| line.contains(address)), "{sent:?}");
    }
}

#[test]
fn the_table_of_paths_says_what_the_program_expects() {
    let document = include_str!("netlab/README.md");
    let rows: Vec<Vec<&str>> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split('|').map(str::trim).collect())
        .filter(|row: &Vec<&str>| row.len() == 1 + Access::ALL.len())
        .collect();
    assert_eq!(rows[0][1..], Access::ALL.map(Access::name));
    for (index, (row, one)) in rows[1..].iter().zip(Access::ALL).enumerate() {
        assert_eq!(row[0], one.name());
        for (cell, other) in row[1..].iter().zip(Access::ALL).skip(index) {
            let (without, with) = (expected(one, other, Turn::Missing), expected(one, other, Turn::Offered));
            assert_eq!(*cell, with.name(), "{} and {}", one.name(), other.name());
            assert!(without == with || (without, with) == (Path::Relay, Path::Turn));
        }
    }
}
