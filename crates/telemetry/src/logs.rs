//! Logs, to stderr: stdout belongs to whatever a program prints as its answer.

use kerf_settings::LogFormat;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A directive of the filter does not parse.
    #[error(
        "log filter `{directive}`: {reason}; write a level (error, warn, info, debug, trace, off) or \
         target=level, separated by commas"
    )]
    Filter {
        /// The directive, of possibly several.
        directive: String,
        /// What the parser says.
        reason: String,
    },
    /// Logging was started before.
    #[error("logging is already set up in this process")]
    AlreadySet,
}

/// Starts logging for the whole process. `filter` is a list of directives such as
/// `info,kerf_transport=debug`.
pub fn init_logs(filter: &str, format: LogFormat) -> Result<(), LogError> {
    let filter = parse_filter(filter)?;
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let builder = SubscriberBuilder::default().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(terminal).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).try_init(),
    }
    .map_err(|_| LogError::AlreadySet)
}

/// Directives are read one by one, so that an error names the one at fault.
fn parse_filter(filter: &str) -> Result<EnvFilter, LogError> {
    let mut parsed = EnvFilter::default();
    let mut any = false;
    for directive in filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let wrong =
            |reason: String| LogError::Filter { directive: directive.escape_debug().to_string(), reason };
        // A lone word that is no level would be taken as a target: `inof` would silence the node.
        let level = ["error", "warn", "info", "debug", "trace", "off"];
        if directive.bytes().all(|byte| byte.is_ascii_alphabetic())
            && !level.contains(&directive.to_ascii_lowercase().as_str())
        {
            return Err(wrong("not a level".to_owned()));
        }
        parsed = parsed.add_directive(
            directive
                .parse()
                .map_err(|error: tracing_subscriber::filter::ParseError| wrong(error.to_string()))?,
        );
        any = true;
    }
    if any {
        Ok(parsed)
    } else {
        Err(LogError::Filter { directive: String::new(), reason: "it is empty".to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for (filter, expected) in [
            ("info", ""),
            ("INFO", ""),
            ("info,kerf_transport=debug", ""),
            ("warn, quinn=off ,", ""),
            ("inof", "log filter `inof`: not a level; write a level"),
            ("info,kerf=loud", "log filter `kerf=loud`: "),
            ("", "log filter ``: it is empty"),
        ] {
            let shown = parse_filter(filter).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(
                shown.starts_with(expected) && shown.is_empty() == expected.is_empty(),
                "{filter}: {shown}"
            );
        }
    }
}
