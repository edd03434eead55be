//! How a build looks, as BuildKit's variables say: `BUILDKIT_COLORS`, `NO_COLOR`, `BUILDKIT_TTY_LOG_LINES`,
//! `TTY_DISPLAY_RATE`, `PROGRESS_NO_TRUNC`.

use std::time::Duration;

/// Characters of a step's name in plain lines where names are cut.
const CUT: usize = 72;

/// Colours, as the numbers of terminal sequences, and sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Whether there are colours at all.
    pub colours: bool,
    /// A step that ended or was known.
    pub run: String,
    /// A step that was stopped.
    pub cancel: String,
    /// A step that failed.
    pub error: String,
    /// A warning.
    pub warning: String,
    /// Lines of output below a running step.
    pub tail: usize,
    /// Time between two frames.
    pub frame: Duration,
    /// Characters of a name in plain lines.
    pub cut: Option<usize>,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            colours: true,
            run: "34".to_owned(),
            cancel: "33".to_owned(),
            error: "31".to_owned(),
            warning: "33".to_owned(),
            tail: 6,
            frame: Duration::from_millis(100),
            cut: None,
        }
    }
}

impl Look {
    /// Reads the variables; what makes no sense is as if it were not there, as in BuildKit.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut look = Self::default();
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        look.colours = given("NO_COLOR").is_none();
        for field in given("BUILDKIT_COLORS").unwrap_or_default().split(':') {
            let Some((key, value)) = field.split_once('=') else { continue };
            let Some(code) = colour(value) else { continue };
            match key.to_lowercase().as_str() {
                "run" => look.run = code,
                "cancel" => look.cancel = code,
                "error" => look.error = code,
                "warning" => look.warning = code,
                _ => {}
            }
        }
        let number = |name: &str| given(name).and_then(|text| text.parse::<u32>().ok());
        if let Some(lines) = number("BUILDKIT_TTY_LOG_LINES").filter(|lines| *lines > 0) {
            look.tail = lines as usize;
        }
        if let Some(millis) = number("TTY_DISPLAY_RATE").filter(|millis| *millis > 0) {
            look.frame = Duration::from_millis(u64::from(millis));
        }
        look.cut = (given("PROGRESS_NO_TRUNC").as_deref() == Some("0")).then_some(CUT);
        look
    }

    /// Returns a step's name as plain lines show it.
    pub fn name(&self, name: &str) -> String {
        match self.cut.and_then(|cut| name.char_indices().nth(cut)) {
            Some((end, _)) => format!("{}...", &name[..end]),
            None => name.to_owned(),
        }
    }
}

/// Reads a colour's name, or red, green and blue from 0 to 255.
fn colour(text: &str) -> Option<String> {
    const NAMES: [&str; 8] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
    let place = |name: &str| NAMES.iter().position(|known| *known == name);
    let lower = text.to_lowercase();
    if let Some(light) = lower.strip_prefix("light-").and_then(place) {
        return Some((90 + light).to_string());
    }
    if let Some(plain) = place(&lower) {
        return Some((30 + plain).to_string());
    }
    let parts: Vec<u8> = lower.split(',').map(|part| part.trim().parse().ok()).collect::<Option<_>>()?;
    let [red, green, blue] = parts[..] else { return None };
    Some(format!("38;2;{red};{green};{blue}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(pairs: &[(&str, &str)]) -> Look {
        let owned: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Look::read(|name| owned.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
    }

    #[test]
    fn variables_set_the_look() {
        assert_eq!(look(&[]), Look::default());
        let colours =
            look(&[("BUILDKIT_COLORS", "run=green:warning=light-red:error=255,20,0:cancel=1,2:x=y")]);
        let expected = Look {
            run: "32".to_owned(),
            warning: "91".to_owned(),
            error: "38;2;255;20;0".to_owned(),
            ..Look::default()
        };
        assert_eq!(colours, expected);
        assert!(!look(&[("NO_COLOR", "1")]).colours && look(&[("NO_COLOR", "")]).colours);
        assert_eq!(look(&[("BUILDKIT_TTY_LOG_LINES", "15")]).tail, 15);
        assert_eq!(look(&[("BUILDKIT_TTY_LOG_LINES", "many")]).tail, 6);
        assert_eq!(look(&[("TTY_DISPLAY_RATE", "250")]).frame, Duration::from_millis(250));
    }

    #[test]
    fn names_are_cut_only_when_asked() {
        let long = "é".repeat(80);
        assert_eq!(look(&[]).name(&long), long);
        assert_eq!(look(&[("PROGRESS_NO_TRUNC", "1")]).name(&long), long);
        assert_eq!(look(&[("PROGRESS_NO_TRUNC", "0")]).name(&long), format!("{}...", "é".repeat(72)));
        assert_eq!(look(&[("PROGRESS_NO_TRUNC", "0")]).name("short"), "short");
    }
}
