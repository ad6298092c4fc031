/// Longest model name; it is a folder, a URL segment and a metric label.
const MAX_LENGTH: usize = 64;

/// Why a string cannot name a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} cannot name a model: use 1 to {MAX_LENGTH} of a-z 0-9 . _ -, starting with a letter or digit, without `..`"
)]
pub struct NameError {
    /// As given, cut to a length that a terminal bears.
    pub name: String,
}

/// Whether `name` is a model's name: safe as a folder and in a URL on every system.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let valid = (1..=MAX_LENGTH).contains(&name.len())
        && name.bytes().all(inner)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !name.contains("..");
    if valid { Ok(()) } else { Err(NameError { name: name.chars().take(MAX_LENGTH).collect() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, valid) in [
            ("mobilenet-v2_1.0", true),
            ("7", true),
            ("", false),
            ("..", false),
            ("a..b", false),
            (".hidden", false),
            ("-flag", false),
            ("a/b", false),
            ("Mobilenet", false),
            ("é", false),
            ("a\0", false),
        ] {
            assert_eq!(check_name(name).is_ok(), valid, "{name:?}");
        }
        assert!(check_name(&"a".repeat(65)).is_err());
    }
}
