//! A development CA and node certificates, as files.

use crate::cli::CertsArgs;
use crate::print::{Outcome, emit};
use anyhow::{Context, bail};
use kerf_identity::{Authority, Role};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

pub(crate) fn run(args: &CertsArgs) -> anyhow::Result<Outcome> {
    let nodes = nodes(args)?;
    let dir = &args.into;
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    if !args.force {
        for (_, name) in &nodes {
            for path in ["pem", "key"].map(|ending| dir.join(format!("{name}.{ending}"))) {
                if path.exists() {
                    bail!(
                        "{} exists; --force replaces the nodes' certificates, never the CA",
                        path.display()
                    );
                }
            }
        }
    }
    let (authority, is_new) = authority(dir)?;
    let mut out = format!("{} CA {}\n", if is_new { "made" } else { "kept" }, dir.join("ca.pem").display());
    let validity = Duration::from_secs(u64::from(args.days) * 86_400);
    for (role, name) in &nodes {
        let issued = authority.issue(*role, name, &[], validity, SystemTime::now())?;
        let path = dir.join(format!("{name}.pem"));
        write(&path, &issued.cert_pem)?;
        write(&dir.join(format!("{name}.key")), &issued.key_pem)?;
        let (role, path) = (role.name(), path.display());
        let _ =
            writeln!(out, "made {path}  {role} node {name}, spiffe://kerf/{role}/{name}, {} days", args.days);
    }
    out.push_str(
        "For development: keep ca.key from the nodes, and take production certificates from your own CA.\n",
    );
    emit(&out)?;
    Ok(Outcome::Passed)
}

fn nodes(args: &CertsArgs) -> anyhow::Result<Vec<(Role, String)>> {
    let mut nodes: Vec<(Role, String)> = Vec::new();
    nodes.extend(args.edge.iter().map(|name| (Role::Edge, name.clone())));
    nodes.extend(args.cloud.iter().map(|name| (Role::Cloud, name.clone())));
    if nodes.is_empty() {
        nodes = vec![(Role::Edge, "edge-1".into()), (Role::Cloud, "cloud-1".into())];
    }
    for (index, (role, name)) in nodes.iter().enumerate() {
        if name == "ca" {
            bail!("a node cannot be named ca: its files would be the CA's");
        }
        if nodes[..index].iter().any(|(_, other)| other == name) {
            bail!("node {name} is named twice; files are named after nodes");
        }
        // Before any file is made, and a name like `../x` never becomes a path.
        if kerf_identity::PeerIdentity::new(*role, name).is_none() {
            bail!("{name:?} cannot name a node: use letters, digits, `-`, `_` and `.`");
        }
    }
    Ok(nodes)
}

/// The CA of `dir`, made if there is none. Half a CA is an error: making another one would
/// silently cut off every node that trusts the first.
fn authority(dir: &Path) -> anyhow::Result<(Authority, bool)> {
    let (certificate, key) = (dir.join("ca.pem"), dir.join("ca.key"));
    match (certificate.exists(), key.exists()) {
        (true, true) => {
            let read = |path: &Path| fs::read_to_string(path).with_context(|| path.display().to_string());
            let authority = Authority::load(&read(&certificate)?, &read(&key)?)
                .with_context(|| certificate.display().to_string())?;
            Ok((authority, false))
        }
        (false, false) => {
            let authority = Authority::generate("Kerf development CA")?;
            write(&key, &authority.key_pem())?;
            write(&certificate, authority.cert_pem())?;
            Ok((authority, true))
        }
        (true, false) => bail!("{} is there without {}", certificate.display(), key.display()),
        (false, true) => bail!("{} is there without {}", key.display(), certificate.display()),
    }
}

/// Writes a file that only its owner can read, in one step: a node that reloads sees the old one
/// or the new one.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let fresh = path.with_added_extension("new");
    let put = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    put().with_context(|| path.display().to_string())
}
