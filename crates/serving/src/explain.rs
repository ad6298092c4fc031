use std::error::Error;

/// An error and its causes in one line, without what an outer error has said already.
pub fn explain<'a>(chain: impl Iterator<Item = &'a (dyn Error + 'static)>) -> String {
    chain.map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.contains(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<std::fmt::Error>,
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = std::fmt::Error;
        let quiet = Layer { text: "cannot write", source: Some(cause) };
        let chain: [&(dyn Error + 'static); 2] = [&quiet, &cause];
        assert_eq!(explain(chain.into_iter()), format!("cannot write: {cause}"));
        assert!(quiet.source().is_some());
        let said: &'static str = format!("cannot write: {cause}").leak();
        let telling = Layer { text: said, source: Some(cause) };
        let chain: [&(dyn Error + 'static); 2] = [&telling, &cause];
        assert_eq!(explain(chain.into_iter()), said);
    }
}
