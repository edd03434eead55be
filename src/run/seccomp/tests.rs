//! Filters, run as the kernel would.

use std::collections::HashMap;

use super::super::caps::CapSet;
use super::emit::interpret;
use super::table::{Arch, X32_BIT, numbers};
use super::*;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

fn ask(code: &[Instruction], arch: Arch, name: &str, argument: u64) -> u32 {
    let column = Arch::ALL.iter().position(|a| *a == arch).expect("it lists all");
    let number = numbers()[name][column].expect("the call is there");
    let data = [(0, number), (4, arch.audit()), (16, argument as u32), (20, (argument >> 32) as u32)];
    interpret(code, &HashMap::from(data)).0
}

fn default(capabilities: CapSet) -> Arc<Vec<Instruction>> {
    filter(&Seccomp::Default, capabilities).expect("ours is right").expect("there is one")
}

#[test]
fn the_default_profile() {
    let code = default(CapSet::DEFAULT);
    for (name, argument, expected) in [
        ("read", 0, ALLOW),
        ("openat2", 0, ALLOW),
        ("mseal", 0, ALLOW),
        ("mount", 0, EPERM),
        ("keyctl", 0, EPERM),
        ("unshare", 0, EPERM),
        ("bpf", 0, EPERM),
        ("io_uring_setup", 0, EPERM),
        ("chroot", 0, ALLOW),
        ("ptrace", 0, ALLOW),
        ("clone", 0x11, ALLOW),
        ("clone", 0x1000_0000, EPERM),
        ("clone", 0x0200_0000, EPERM),
        ("clone", 0xdead_0000_0000_0011, ALLOW),
        ("clone3", 0, ENOSYS),
        ("socket", 2, ALLOW),
        ("socket", 11, ALLOW),
        ("socket", 12, EPERM),
        ("socket", 16, ALLOW),
        ("socket", 38, EPERM),
        ("socket", 40, EPERM),
        ("socket", 0x1_0000_0002, EPERM),
        ("personality", 0, ALLOW),
        ("personality", 0x20008, ALLOW),
        ("personality", 0xffff_ffff, ALLOW),
        ("personality", 0x40000, EPERM),
    ] {
        for arch in [Arch::X86_64, Arch::X32] {
            assert_eq!(ask(&code, arch, name, argument), expected, "{name}({argument:#x}) on {arch:?}");
        }
        if argument <= u64::from(u32::MAX) {
            assert_eq!(ask(&code, Arch::X86, name, argument), expected, "{name}({argument:#x}) on x86");
        }
    }
    assert_eq!(ask(&code, Arch::X86_64, "arch_prctl", 0), ALLOW);
    assert_eq!(ask(&code, Arch::X86, "socketcall", 0), ALLOW);
    let foreign = HashMap::from([(0, 0), (4, 0xc000_00b7)]);
    assert_eq!(interpret(&code, &foreign).0, libc::SECCOMP_RET_KILL_THREAD);
    for number in [600, 100_000, X32_BIT - 1, X32_BIT + 600, u32::MAX] {
        let data = HashMap::from([(0, number), (4, Arch::X86_64.audit())]);
        assert_eq!(interpret(&code, &data).0, EPERM, "{number:#x}");
    }
}

#[test]
fn capabilities_open_more() {
    let admin = default(CapSet(CapSet::DEFAULT.0 | CapSet::one("SYS_ADMIN").expect("known").0));
    for name in ["mount", "clone3", "unshare", "setns", "bpf"] {
        assert_eq!(ask(&admin, Arch::X86_64, name, 0), ALLOW, "{name}");
    }
    assert_eq!(ask(&admin, Arch::X86_64, "clone", 0x1000_0000), ALLOW);
    let none = default(CapSet::EMPTY);
    assert_eq!(ask(&none, Arch::X86_64, "chroot", 0), EPERM);
    let time = default(CapSet::one("SYS_TIME").expect("known"));
    assert_eq!(ask(&time, Arch::X86_64, "clock_settime", 0), ALLOW);
}

#[test]
fn a_filter_is_small_and_quick() {
    let code = default(CapSet::DEFAULT);
    assert!(code.len() < 800, "{}", code.len());
    let numbers = numbers();
    let data = |number: u32| HashMap::from([(0, number), (4, Arch::X86_64.audit()), (16, 2)]);
    let most = numbers.values().filter_map(|n| n[0]).map(|n| interpret(&code, &data(n)).1).max();
    assert!(most.is_some_and(|n| n < 30), "{most:?}");
    let plain = interpret(&code, &data(0)).1;
    assert!(plain < 16, "{plain}");
}

#[test]
fn every_name_of_the_default_profile_is_known_or_of_another_architecture() {
    let known = numbers();
    let profile: serde_json::Value = serde_json::from_str(DEFAULT_PROFILE).expect("ours is right");
    let names = profile["syscalls"].as_array().expect("a list").iter();
    let names = names.flat_map(|rule| rule["names"].as_array().expect("a list"));
    let unknown: Vec<&str> =
        names.filter_map(|name| name.as_str()).filter(|name| !known.contains_key(name)).collect();
    assert_eq!(unknown, ["recv", "riscv_hwprobe", "send"]);
}

#[test]
fn comparisons() {
    let profile = |op: &str, value: u64, two: u64| {
        format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["read"],"action":"SCMP_ACT_ALLOW",
            "args":[{{"index":0,"value":{value},"valueTwo":{two},"op":"SCMP_CMP_{op}"}},{{"index":0,"value":77,"op":"SCMP_CMP_NE"}}]}}]}}"#
        )
    };
    let interesting =
        [0, 1, 5, 76, 77, 78, u64::from(u32::MAX), 1 << 32, (1 << 32) + 5, u64::MAX - 1, u64::MAX];
    for value in interesting {
        for (op, holds) in [
            ("EQ", (|a, b| a == b) as fn(u64, u64) -> bool),
            ("NE", |a, b| a != b),
            ("LT", |a, b| a < b),
            ("LE", |a, b| a <= b),
            ("GT", |a, b| a > b),
            ("GE", |a, b| a >= b),
            ("MASKED_EQ", |a, b| a & b == 5),
        ] {
            let code = compile(&profile(op, value, 5), CapSet::EMPTY).expect("it is right");
            for argument in interesting {
                let expected = if holds(argument, value) && argument != 77 { ALLOW } else { EPERM };
                assert_eq!(
                    ask(&code, Arch::X86_64, "read", argument),
                    expected,
                    "{argument:#x} {op} {value:#x}"
                );
            }
        }
    }
}

#[test]
fn sets_of_values() {
    let alternative = |op: &str, value: u64| {
        format!(
            r#"{{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{{"index":0,"value":{value},"op":"SCMP_CMP_{op}"}}]}}"#
        )
    };
    for rules in [
        vec![("EQ", 5)],
        vec![("EQ", 0)],
        vec![("EQ", 0), ("EQ", 1), ("EQ", 3)],
        vec![("LT", 4), ("EQ", 4), ("EQ", 7), ("EQ", 6)],
        vec![("LE", 4), ("EQ", 2), ("LT", 3), ("EQ", 9)],
        vec![("EQ", 4_294_967_295), ("EQ", 4_294_967_294)],
        vec![("LE", 4_294_967_295), ("EQ", 3)],
        vec![("LT", 1), ("EQ", 2)],
    ] {
        let list: Vec<String> = rules.iter().map(|(op, value)| alternative(op, *value)).collect();
        let profile = format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{}]}}"#, list.join(","));
        let code = compile(&profile, CapSet::EMPTY).expect("it is right");
        for argument in (0..12).chain([4_294_967_293, 4_294_967_294, 4_294_967_295, 1 << 32, (1 << 32) + 5]) {
            let holds = |(op, value): &(&str, u64)| match *op {
                "EQ" => argument == *value,
                "LT" => argument < *value,
                _ => argument <= *value,
            };
            let expected = if rules.iter().any(holds) { ALLOW } else { EPERM };
            assert_eq!(ask(&code, Arch::X86_64, "read", argument), expected, "{argument:#x} in {rules:?}");
        }
    }
}
