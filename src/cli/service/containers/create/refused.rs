//! What requests may ask for and this version does not do: refused by name, unless the value changes nothing.

use super::super::fields::Fields;
use crate::engine::ApiError;

/// Texts of `HostConfig` that have to be empty or absent.
const HOST: &[&str] = &["Cgroup"];

/// Refuses the first field that is not available.
///
/// # Errors
/// There is one.
pub fn check(host: &Fields<'_>) -> Result<(), ApiError> {
    for name in HOST {
        if !host.text(name)?.is_empty() {
            return Err(ApiError::bad(format!("HostConfig.{name} is not available in this version")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_without_effect_pass() {
        let check = |value: serde_json::Value| {
            check(&Fields::of(&value, "HostConfig").expect("an object")).map_err(|error| error.message)
        };
        for fine in [json!({}), json!({ "Cgroup": "", "Runtime": "runc" }), json!({ "Cgroup": null })] {
            assert_eq!(check(fine.clone()), Ok(()), "{fine}");
        }
        assert_eq!(
            check(json!({ "Cgroup": "x" })),
            Err("HostConfig.Cgroup is not available in this version".to_owned())
        );
    }
}
