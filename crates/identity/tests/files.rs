//! What a user's files lead to: an identity, or a message that names the file.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "certificates are valid from some time to another")]

use kerf_identity::{Authority, AuthorityError, Identity, Paths, Role};
use std::path::Path;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3600);

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn files_that_are_good_load() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::generate("lab CA").unwrap();
    // The CA as it comes back from its own files.
    let authority = Authority::load(authority.cert_pem(), &authority.key_pem()).unwrap();
    for (role, name) in [(Role::Edge, "gw-1"), (Role::Cloud, "cloud-1")] {
        let san = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let now = SystemTime::now();
        let made = authority.issue(role, name, &san, HOUR, now).unwrap();
        let paths = Paths {
            ca: write(folder.path(), "ca.pem", authority.cert_pem()),
            certificate: write(folder.path(), "node.pem", &made.cert_pem),
            key: write(folder.path(), "node.key", &made.key_pem),
        };
        let identity = Identity::load(&paths).unwrap();
        assert_eq!(identity.peer().to_string(), format!("{role}/{name}"));
        assert!(identity.require(role).is_ok());
        let expires = identity.expires().duration_since(now).unwrap();
        assert!((HOUR - Duration::from_secs(1)..=HOUR).contains(&expires), "{expires:?}");
    }
}

#[test]
fn files_that_are_not_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::generate("lab CA").unwrap();
    let stranger = Authority::generate("lab CA").unwrap();
    let now = SystemTime::now();
    let issue = |by: &Authority, at| by.issue(Role::Edge, "gw-1", &[], HOUR, at).unwrap();
    let good = issue(&authority, now);
    let other = issue(&authority, now);
    let foreign = issue(&stranger, now);
    let expired = issue(&authority, now - 2 * HOUR);
    let future = issue(&authority, now + 2 * HOUR);
    let ca = authority.cert_pem();
    let (cert, key) = (good.cert_pem.as_str(), good.key_pem.as_str());
    let half = &cert[..cert.len() / 2];
    let broken = cert.replacen("MII", "MIJ", 1);
    let cases: &[(&str, [Option<&str>; 3], &str)] = &[
        ("no CA file", [None, Some(cert), Some(key)], "ca.pem: "),
        ("no certificate file", [Some(ca), None, Some(key)], "node.pem: "),
        ("no key file", [Some(ca), Some(cert), None], "node.key: "),
        ("an empty CA", [Some(""), Some(cert), Some(key)], "ca.pem holds no certificate"),
        ("half a certificate", [Some(ca), Some(half), Some(key)], "node.pem holds no certificate"),
        (
            "a bent certificate",
            [Some(ca), Some(&broken), Some(key)],
            "node.pem: the certificate is malformed",
        ),
        ("a key for a certificate", [Some(ca), Some(key), Some(key)], "node.pem holds no certificate"),
        ("a certificate for a key", [Some(ca), Some(cert), Some(cert)], "node.key holds no private key"),
        ("another's key", [Some(ca), Some(cert), Some(&other.key_pem)], "node.key is not the key of "),
        (
            "the CA's certificate",
            [Some(ca), Some(ca), Some(key)],
            "node.pem: the certificate has no SPIFFE id",
        ),
        (
            "an expired one",
            [Some(ca), Some(&expired.cert_pem), Some(&expired.key_pem)],
            "node.pem: certificate of edge/gw-1 expired 20",
        ),
        (
            "one for later",
            [Some(ca), Some(&future.cert_pem), Some(&future.key_pem)],
            "node.pem: certificate of edge/gw-1 is not valid before 20",
        ),
        (
            "a foreign one",
            [Some(ca), Some(&foreign.cert_pem), Some(&foreign.key_pem)],
            "node.pem: certificate of edge/gw-1 is from a CA that is not trusted here",
        ),
    ];
    for (index, (what, texts, complaint)) in cases.iter().enumerate() {
        let folder = folder.path().join(index.to_string());
        std::fs::create_dir(&folder).unwrap();
        let [ca, certificate, key] = ["ca.pem", "node.pem", "node.key"].map(|name| folder.join(name));
        for (path, text) in [&ca, &certificate, &key].into_iter().zip(texts) {
            if let Some(text) = text {
                std::fs::write(path, text).unwrap();
            }
        }
        let error = Identity::load(&Paths { ca, certificate, key }).expect_err(what).to_string();
        assert!(error.contains(complaint), "{what}: {error}");
        assert!(!error.contains("PRIVATE KEY-----"), "{what}: {error}");
    }
}

#[test]
fn keys_are_never_shown() {
    let authority = Authority::generate("lab CA").unwrap();
    let made = authority.issue(Role::Edge, "gw-1", &[], HOUR, SystemTime::now()).unwrap();
    let identity = Identity::from_pem(authority.cert_pem(), &made.cert_pem, &made.key_pem).unwrap();
    let shown = format!("{authority:?} {made:?} {identity:?}");
    for secret in [made.key_pem.as_str(), &authority.key_pem()] {
        let line = secret.lines().nth(1).unwrap();
        assert!(!shown.contains(line));
    }
    assert!(shown.contains("edge/gw-1"), "{shown}");
}

#[test]
fn names_and_validities_that_fit_no_certificate_are_refused() {
    let authority = Authority::generate("lab CA").unwrap();
    let now = SystemTime::now();
    for name in ["", "a b", "a/b", "..", "é"] {
        let made = authority.issue(Role::Edge, name, &[], HOUR, now);
        assert!(matches!(made, Err(AuthorityError::Name(_))), "{name:?}");
    }
    let made = authority.issue(Role::Edge, "gw-1", &[], Duration::MAX, now);
    assert!(matches!(made, Err(AuthorityError::Validity(_))));
    let made = authority.issue(Role::Edge, "gw-1", &["é".into()], HOUR, now);
    assert!(matches!(made, Err(AuthorityError::Make { .. })));
    assert!(matches!(Authority::load("x", "y"), Err(AuthorityError::Load { part: "key", .. })));
}
