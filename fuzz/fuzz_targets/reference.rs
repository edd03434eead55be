//! Any text as a reference: no panic, and what is read prints to a text that reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skiff_fuzz::image::Reference;

fuzz_target!(|text: &str| {
    let Ok(reference) = Reference::parse(text) else { return };
    let printed = reference.to_string();
    assert_eq!(Reference::parse(&printed).as_ref(), Ok(&reference), "{printed}");
    assert!(printed.is_ascii());
});
