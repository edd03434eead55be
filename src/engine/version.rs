//! Versions of the API.

use std::fmt;

use super::error::ApiError;

/// A version of the API, such as 1.51.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// The number before the dot.
    pub major: u16,
    /// The number behind it.
    pub minor: u16,
}

impl ApiVersion {
    /// The newest one whose shapes are spoken here.
    pub const NEWEST: Self = Self::new(51);
    /// The oldest one that is understood.
    pub const OLDEST: Self = Self::new(24);

    /// Version 1 with a number behind the dot.
    pub const fn new(minor: u16) -> Self {
        Self { major: 1, minor }
    }

    /// Reads `1.51`; none if the text is no version.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        let number =
            |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        Some(Self { major: number(major)?, minor: number(minor)? })
    }

    /// Whether the version has what came with `1.minor`.
    pub fn since(self, minor: u16) -> bool {
        self >= Self::new(minor)
    }

    /// Refuses what is too old or too new.
    ///
    /// # Errors
    /// In docker's words.
    pub fn check(self) -> Result<Self, ApiError> {
        let (oldest, newest) = (Self::OLDEST, Self::NEWEST);
        if self < oldest {
            return Err(ApiError::bad(format!(
                "client version {self} is too old. Minimum supported API version is {oldest}, please upgrade your \
                 client to a newer version"
            )));
        }
        if self > newest {
            let text = format!("client version {self} is too new. Maximum supported API version is {newest}");
            return Err(ApiError::bad(text));
        }
        Ok(self)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_two_numbers() {
        for (text, expected) in [
            ("1.24", Some(ApiVersion::new(24))),
            ("1.51", Some(ApiVersion::new(51))),
            ("1", None),
            ("1.+4", None),
            ("1.4.1", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(ApiVersion::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn the_range_has_ends() {
        assert!(ApiVersion::new(24).check().is_ok() && ApiVersion::NEWEST.check().is_ok());
        let old = ApiVersion::new(12).check().expect_err("too old");
        assert_eq!(
            old.message,
            "client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to \
             a newer version"
        );
        let new = ApiVersion::new(99).check().expect_err("too new");
        assert_eq!(new.message, "client version 1.99 is too new. Maximum supported API version is 1.51");
    }
}
