//! Starting, ending, environment, directories, users, terminals.

use super::super::*;
use super::support::*;

#[test]
fn exit_codes_and_signals() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    for (script, expected) in [
        ("exit 0", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("exit 255", Exit::Code(255)),
        ("sh -c 'kill -9 $$'; exit $?", Exit::Code(137)),
    ] {
        assert_eq!(rig.sh(script).0, expected, "{script}");
    }
    let spec = ProcessSpec { args: args(&["true"]), ..ProcessSpec::default() };
    assert_eq!(rig.run(&spec, rig.rootfs()).0, Exit::Code(0));
    assert_eq!(Exit::Signal(9).code(), 137);
}
