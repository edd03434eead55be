//! Any text as a `--format` template: no panic, bounded output.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skiff_fuzz::cli::format::{Missing, Template};

fuzz_target!(|text: &str| {
    let Ok(template) = Template::parse(text) else { return };
    let row = serde_json::json!({
        "ID": "sha256:0123", "Names": ["a", "b"], "Size": 1234, "Float": 1.5, "Yes": true, "Nil": null,
        "Config": { "Env": ["A=b", "C=d"], "Labels": { "x": "y", "z.z": "<w>" } }, "Empty": "", "List": []
    });
    for missing in [Missing::NoValue, Missing::Error] {
        if let Ok(text) = template.render(&row, missing) {
            assert!(text.len() <= 64 << 20);
        }
    }
});
