//! Letting a network's packets pass the chain `FORWARD` of iptables, where that drops what it does not know.
//!
//! A verdict of one table does not bind another one, so ours alone can't let them pass. Machines where Docker or ufw
//! was ever installed drop so. Two rules of this network's go to the beginning of the chain, as Docker's do, and
//! leave with it; which packets pass is decided by the network's own table all the same.
//! Chains that others made with `nft` are their makers' alone.

use super::error::NetError;
use super::expression::{Expression, Load, Verdict};
use super::firewall::name;
use super::tables::{self, Batch, IPV4, IPV6};

/// The table and the chain of iptables and ip6tables.
const TABLE: &str = "filter";
const CHAIN: &str = "FORWARD";

/// Lets packets of a bridge pass, where they would not.
///
/// # Errors
/// The kernel refuses.
pub(super) fn open(bridge: &str) -> Result<(), NetError> {
    let failed = |errno| NetError::kernel(format!("let packets of {bridge} pass {CHAIN}"), errno);
    for family in [IPV4, IPV6] {
        if !tables::drops(family, TABLE, CHAIN).map_err(failed)? {
            continue;
        }
        let note = note(bridge);
        if tables::rules(family, TABLE, CHAIN).map_err(failed)?.iter().any(|rule| rule.is_noted(&note)) {
            continue;
        }
        let mut batch = Batch::new(family, TABLE);
        for side in [Load::InterfaceIn, Load::InterfaceOut] {
            let steps = [
                Expression::Load(side, 0),
                Expression::Compare { same: true, with: name(bridge) },
                Expression::Decide(Verdict::Accept),
            ];
            batch.insert_rule(CHAIN, &steps, &note);
        }
        batch.commit().map_err(failed)?;
    }
    Ok(())
}

/// Takes the rules of a bridge away again.
///
/// # Errors
/// The kernel refuses.
pub(super) fn close(bridge: &str) -> Result<(), NetError> {
    let failed = |errno| NetError::kernel(format!("take the rules of {bridge} out of {CHAIN}"), errno);
    let note = note(bridge);
    for family in [IPV4, IPV6] {
        let mut batch = Batch::new(family, TABLE);
        for rule in tables::rules(family, TABLE, CHAIN).map_err(failed)? {
            if rule.is_noted(&note) {
                batch.delete_rule(CHAIN, rule.handle);
            }
        }
        batch.commit().map_err(failed)?;
    }
    Ok(())
}

fn note(bridge: &str) -> String {
    format!("skiff {bridge}")
}
