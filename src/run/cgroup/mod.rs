//! placeholder
use super::error::{RunError, Warning};
use super::spec::{Device, Limits};
use std::os::fd::OwnedFd;
pub(super) struct Leaf {}
impl Leaf {
    pub fn make(limits: &Limits, _devices: &[Device]) -> Result<(Option<Self>, Vec<Warning>), RunError> {
        let warnings =
            if limits.is_empty() { vec![] } else { vec![Warning("limits by cgroup are not applied".into())] };
        Ok((None, warnings))
    }
    pub fn controls_devices(&self) -> bool {
        false
    }
    pub fn process_lists(&self) -> Result<Vec<OwnedFd>, RunError> {
        Ok(Vec::new())
    }
    pub fn out_of_memory(&self) -> bool {
        false
    }
    pub fn remove(self) {}
}
pub(super) fn is_unified() -> bool {
    false
}
