/// Whether `value` is a W3C `traceparent` (Trace Context, section 3.2): version 00 in its
/// exact form, or a later version that begins like it.
///
/// ```
/// assert!(kerf_wire::is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
/// ```
pub fn is_traceparent(value: &str) -> bool {
    // Later versions may append fields; nothing sensible takes more than this.
    const LONGEST: usize = 256;
    let mut fields = value.split('-');
    let mut hex = |digits: usize| {
        fields.next().filter(|field| {
            field.len() == digits && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    let (Some(version), Some(trace), Some(parent), Some(_flags)) = (hex(2), hex(32), hex(16), hex(2)) else {
        return false;
    };
    let zero = |field: &str| field.bytes().all(|byte| byte == b'0');
    version != "ff"
        && !zero(trace)
        && !zero(parent)
        && value.len() <= LONGEST
        && (version != "00" || fields.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_ones_pass() {
        let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        for (value, valid) in [
            (format!("00-{trace}-{parent}-01"), true),
            (format!("00-{trace}-{parent}-01-extra"), false),
            (format!("01-{trace}-{parent}-01-extra"), true),
            (format!("ff-{trace}-{parent}-01"), false),
            (format!("00-{}-{parent}-01", "0".repeat(32)), false),
            (format!("00-{trace}-{}-01", "0".repeat(16)), false),
            (format!("00-{}-{parent}-01", trace.to_uppercase()), false),
            (format!("00-{trace}-{parent}"), false),
            (format!("01-{trace}-{parent}-01-{}", "x".repeat(300)), false),
            ("00-é".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_traceparent(&value), valid, "{value:?}");
        }
    }
}
